"""The hidden state of the lanes between training steps: the one place where the model keeps state."""

import tensorflow as tf

from tfrs_gru4rec.layers.gru_tower import GRUTower, State


class LaneVariables(tf.Module):
    """Variables [lanes, units] for each layer, made when the number of lanes is first known."""

    def __init__(self, tower: GRUTower) -> None:
        """Creates no variable yet: the number of lanes is the batch size of the data."""
        super().__init__(name="lanes")
        self._initial_state = tower.initial_state
        self._variables: tuple[tf.Variable, ...] = ()

    def build(self, lanes: int) -> None:
        """Makes zero states for a number of lanes, unless that is what there is already."""
        if self._variables and self._variables[0].shape[0] == lanes:
            return
        with tf.init_scope():
            self._variables = tuple(
                tf.Variable(zeros, trainable=False, name="lane_state") for zeros in self._initial_state(lanes)
            )

    def read(self, lanes: int) -> State:
        """Returns the state [lanes, units] of each layer, zeros if the number of lanes is new."""
        self.build(lanes)
        return tuple(variable.read_value() for variable in self._variables)

    def write(self, state: State) -> None:
        """Keeps the state for the next step."""
        for variable, value in zip(self._variables, state, strict=True):
            variable.assign(value)
