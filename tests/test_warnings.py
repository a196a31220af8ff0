"""Warnings of our own modules are errors while testing; those of others are not."""

import warnings

import pytest
import tensorflow as tf


@pytest.mark.parametrize("category", [UserWarning, RuntimeWarning, DeprecationWarning])
def test_a_warning_of_our_own_is_an_error(category):
    with pytest.raises(category, match="made up"):
        warnings.warn_explicit("made up", category, "bpr.py", 1, module="tfrs_gru4rec.losses.bpr")


@pytest.mark.parametrize(
    ("folder", "old_name"),
    [
        ("tfrs_gru4rec/losses", "to_float"),
        ("datasets", "to_double"),
        ("export/serving", "to_int32"),
    ],
)
def test_a_call_that_tensorflow_logs_as_deprecated_is_an_error(repository, folder, old_name):
    # TensorFlow logs each name once in a process, so each case has one of its own.
    ours = compile("old(1)", str(repository / folder / "made_up.py"), "eval")
    with pytest.raises(DeprecationWarning, match=f"{old_name} .* is deprecated"):
        eval(ours, {"old": getattr(tf.compat.v1, old_name)})


def test_such_a_call_of_a_library_is_none():
    theirs = compile("old(1)", "/elsewhere/library.py", "eval")
    assert eval(theirs, {"old": tf.compat.v1.to_int64}).dtype == tf.int64


def test_a_warning_of_a_library_is_none():
    with warnings.catch_warnings(record=True) as caught:
        warnings.warn_explicit("made up", UserWarning, "library.py", 1, module="library")
    assert [str(warning.message) for warning in caught] == ["made up"]
