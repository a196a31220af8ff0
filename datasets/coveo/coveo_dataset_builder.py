"""TFDS builder of Coveo."""

from tfrs_gru4rec.datasets import published
from tfrs_gru4rec.datasets.session_builder import SessionBuilder


class Builder(SessionBuilder):
    """Product detail views of the shopper intent data set."""

    SOURCE = published.COVEO
