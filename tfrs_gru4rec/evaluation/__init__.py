"""From a model and a test log to ranks, figures, reports and plots."""
