"""TFDS builder of Yoochoose."""

from tfrs_gru4rec.datasets import published
from tfrs_gru4rec.datasets.session_builder import SessionBuilder


class Builder(SessionBuilder):
    """Both click files of the RecSys Challenge 2015 under the rules of the published results."""

    SOURCE = published.YOOCHOOSE
