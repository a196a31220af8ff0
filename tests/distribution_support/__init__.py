"""Workers and replicas as processes of their own."""
