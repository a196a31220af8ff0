"""From a model and a test log to ranks, figures, reports and plots."""

from tfrs_gru4rec.evaluation.coverage import catalogue_coverage
from tfrs_gru4rec.evaluation.evaluate import evaluate
from tfrs_gru4rec.evaluation.plots import plot_days, plot_report
from tfrs_gru4rec.evaluation.report import describe_test, make_report

__all__ = ["catalogue_coverage", "describe_test", "evaluate", "make_report", "plot_days", "plot_report"]
