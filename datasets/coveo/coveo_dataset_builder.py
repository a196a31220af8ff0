"""TFDS builder of Coveo."""

from tfrs_gru4rec.datasets.coveo import source
from tfrs_gru4rec.datasets.session_builder import SessionBuilder


class Builder(SessionBuilder):
    """Product detail views of the shopper intent data set."""

    SOURCE = source.SOURCE
