"""TFDS builder of Diginetica."""

from tfrs_gru4rec.datasets import published
from tfrs_gru4rec.datasets.session_builder import SessionBuilder


class Builder(SessionBuilder):
    """Product views of the CIKM Cup 2016."""

    SOURCE = published.DIGINETICA
