"""TFDS builder of Rees46."""

from tfrs_gru4rec.datasets import published
from tfrs_gru4rec.datasets.session_builder import SessionBuilder


class Builder(SessionBuilder):
    """Views of a multi-category shop, a user's cut at pauses of over an hour."""

    SOURCE = published.REES46
