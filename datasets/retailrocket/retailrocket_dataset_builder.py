"""TFDS builder of RetailRocket."""

from tfrs_gru4rec.datasets import published
from tfrs_gru4rec.datasets.session_builder import SessionBuilder


class Builder(SessionBuilder):
    """Views of a web shop, a visitor's cut at pauses of over an hour."""

    SOURCE = published.RETAILROCKET
