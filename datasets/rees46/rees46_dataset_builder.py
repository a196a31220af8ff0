"""TFDS builder of Rees46."""

from tfrs_gru4rec.datasets.rees46 import source
from tfrs_gru4rec.datasets.session_builder import SessionBuilder


class Builder(SessionBuilder):
    """Views of a multi-category shop, a user's cut at pauses of over an hour."""

    SOURCE = source.SOURCE
