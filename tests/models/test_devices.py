"""What a compiled step must keep to on a device with a memory of its own, such as a GPU; none is needed to see it."""

import pytest
import tensorflow as tf
from neighbours_support.logs import log_of, random_sessions

import tfrs_gru4rec as g4r
from tfrs_gru4rec.config import GRU4RecConfig
from tfrs_gru4rec.pipelines.session_parallel import session_parallel


@pytest.mark.parametrize("settings", [{}, {"constrained_embedding": False, "embedding": 3}])
def test_no_variable_of_a_compiled_step_is_of_int32(settings):
    # TensorFlow places those in the host's memory, whatever device is asked for, and XLA cannot reach them there.
    log = log_of(random_sessions(0, 30, 12), 12)
    model = g4r.GRU4Rec(log.vocabulary, GRU4RecConfig(layers=(4,), n_sample=6, **settings))
    model.compile(g4r.AdagradMomentum(0.1, momentum=0.2))
    model.lanes.build(4)
    block = next(iter(session_parallel(log, 4, block_steps=2)))
    for step, expected in (
        (model.train_step, {"last_places", "lane_state"}),
        (model.test_step, {"lane_state"}),
    ):
        used = tf.function(step).get_concrete_function(block).graph.variables
        names = {variable.name.split(":")[0] for variable in used}
        assert expected <= names
        assert not [variable.name for variable in used if variable.dtype == tf.int32]
