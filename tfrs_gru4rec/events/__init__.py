"""Events in sessions: reading them from files, their order, gaps and dwell time. Plain NumPy and Arrow."""
