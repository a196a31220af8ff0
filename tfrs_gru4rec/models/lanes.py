"""The hidden state of the lanes between training steps: the one place where the model keeps state."""

import tensorflow as tf

from tfrs_gru4rec.distribution import Replicas
from tfrs_gru4rec.layers.gru_tower import GRUTower, State


class LaneVariables(tf.__internal__.tracking.AutoTrackable):
    """Variables [lanes, units] for each layer, made when the number of lanes is first known.

    Checkpoints keep them. `model.weights` leaves them out (Keras would count those of a tf.Module), so that a model has
    the same weights before and after `fit`.
    """

    def __init__(self, tower: GRUTower, replicas: Replicas | None = None) -> None:
        """Creates no variable yet: the number of lanes is the batch size of the data.

        Of several replicas each reads and writes its own lanes, and `exchange` gives all lanes to all.
        """
        self._initial_state = tower.initial_state
        self._replicas = replicas or Replicas()
        self._n_parts = self._replicas.count if replicas else 1
        self._variables: tuple[tf.Variable, ...] = ()

    @property
    def variables(self) -> tuple[tf.Variable, ...]:
        """The state of each layer; empty before the first step."""
        return self._variables

    def build(self, lanes: int) -> None:
        """Makes zero states for a number of lanes, unless that is what there is already."""
        if self._variables and self._variables[0].shape[0] == lanes:
            return
        with tf.init_scope(), self._replicas.strategy.scope():
            self._variables = tuple(
                tf.Variable(zeros, trainable=False, name="lane_state") for zeros in self._initial_state(lanes)
            )

    def read(self, lanes: int) -> State:
        """Returns the state [lanes, units] of each layer, of one's own lanes; zeros if their number is new."""
        self.build(lanes * self._n_parts)
        if self._n_parts == 1:
            return tuple(variable.read_value() for variable in self._variables)
        return tuple(self._replicas.own_first(variable.read_value())[:lanes] for variable in self._variables)

    def write(self, state: State) -> None:
        """Keeps the state of one's own lanes for the next step."""
        for variable, value in zip(self._variables, state, strict=True):
            if self._n_parts > 1:
                others = self._replicas.own_first(variable.read_value())[value.shape[0] :]
                value = self._replicas.own_last(tf.concat([value, others], axis=0))
            variable.assign(value)

    def exchange(self) -> None:
        """Tells the states of one's own lanes to all other replicas, and hears theirs."""
        lanes = self._variables[0].shape[0] // self._n_parts
        for variable, value in zip(self._variables, self._replicas.gather(self.read(lanes)), strict=True):
            variable.assign(value)
