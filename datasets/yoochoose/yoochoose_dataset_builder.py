"""TFDS builder of Yoochoose."""

from tfrs_gru4rec.datasets.session_builder import SessionBuilder
from tfrs_gru4rec.datasets.yoochoose import source


class Builder(SessionBuilder):
    """Both click files of the RecSys Challenge 2015 under the rules of the published results."""

    SOURCE = source.SOURCE
