"""From a model and a test log to ranks, figures, reports and plots."""

from tfrs_gru4rec.evaluation.evaluate import evaluate
from tfrs_gru4rec.evaluation.html_report import html_page, show_report
from tfrs_gru4rec.evaluation.list_figures import list_figures
from tfrs_gru4rec.evaluation.plots import plot_days, plot_report
from tfrs_gru4rec.evaluation.report import describe_test, evaluate_test, make_report

__all__ = [
    "describe_test",
    "evaluate",
    "evaluate_test",
    "html_page",
    "list_figures",
    "make_report",
    "plot_days",
    "plot_report",
    "show_report",
]
