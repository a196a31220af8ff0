"""Weights in and out: models that other code trained, with the gates of a GRU in another order.

The arrays and their names, for layers 0, 1, …:

    output_table        [n_items, width]        weights that score each item
    output_bias         [n_items]
    input_table         [n_items, width]        only with an input embedding of its own; one-hot: [n_items, 3 * units]
    kernel_0            [inputs, 3 * units]     what the gates read of the input; none in layer 0 of a one-hot model
    recurrent_kernel_0  [units, 3 * units]      what they read of the state
    bias_0              [3 * units]
    recurrent_bias_0    [3 * units]             only with `reset_after`

The gates stand side by side, in the order and the sense that a `GateOrder` says. Rows of items go by the vocabulary.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfrs_gru4rec.checks import require, require_one_of
from tfrs_gru4rec.models.gru4rec import GRU4Rec

Gates = tuple[str, str, str]
_GATES: Gates = ("reset", "update", "candidate")
_OF_ITEMS = ("output_table", "output_bias", "input_table")


@dataclasses.dataclass(frozen=True)
class GateOrder:
    """How some code lays out the weights of a GRU.

    Attributes:
      gates: the three blocks from first to last, "reset", "update" and "candidate" in the code's order.
      update_keeps: the update gate z is the share of the old state that is kept, h' = z h + (1 - z) ĥ; in this library
        z is the share of the candidate. As σ(-x) = 1 - σ(x), its block is negated on the way.
      transposed: kernels are [3 * units, inputs].

    >>> ORDERS["keras"].gates
    ('update', 'reset', 'candidate')
    """

    gates: Gates = _GATES
    update_keeps: bool = False
    transposed: bool = False

    def __post_init__(self) -> None:
        """Checks that each gate is named once."""
        rule = "gates must name reset, update and candidate once each."
        require(sorted(self.gates) == sorted(_GATES), rule, gates=self.gates)

    def transpose(self, array: np.ndarray, name: str) -> np.ndarray:
        """Turns a layer's array of a name from this order to the library's, or back."""
        return array.T if self.transposed and name not in _OF_ITEMS else array


# PyTorch's weight_ih_l0 and weight_hh_l0 are kernel_0 and recurrent_kernel_0, its bias_ih_l0 and bias_hh_l0 the biases.
ORDERS = {
    "tfrs_gru4rec": GateOrder(),
    "pytorch": GateOrder(("reset", "update", "candidate"), update_keeps=True, transposed=True),
    "keras": GateOrder(("update", "reset", "candidate"), update_keeps=True),
}


def export_weights(model: GRU4Rec, order: str | GateOrder = "tfrs_gru4rec") -> dict[str, np.ndarray]:
    """Returns a model's weights by the names above, as float32 arrays.

    Args:
      model: whose rows of items are those of `model.vocabulary.ids`.
      order: of the gates: a name in `ORDERS` or a `GateOrder`.

    Raises:
      ValueError: the order is unknown.

    >>> from tfrs_gru4rec import GRU4RecConfig, Vocabulary
    >>> model = GRU4Rec(Vocabulary.from_items(["bag", "hat"]), GRU4RecConfig(layers=(5,)))
    >>> {name: array.shape for name, array in export_weights(model, "pytorch").items()}
    {'output_table': (2, 5), 'output_bias': (2,),
     'kernel_0': (15, 5), 'recurrent_kernel_0': (15, 5), 'bias_0': (15,)}
    """
    way = _order(order)
    return {
        name: way.transpose(_reorder(variable.numpy(), _GATES, way.gates, way), name)
        if _has_gates(model, name)
        else variable.numpy()
        for name, variable in _variables(model).items()
    }


def import_weights(
    model: GRU4Rec,
    arrays: Mapping[str, np.ndarray],
    order: str | GateOrder = "tfrs_gru4rec",
    item_ids: Iterable[Any] | None = None,
) -> None:
    """Sets all of a model's weights; optimizer slots stay as they are.

    Args:
      model: of the same items, widths and arrangement as the arrays.
      arrays: by the names above, each of a shape that `export_weights` gives.
      order: of the gates: a name in `ORDERS` or a `GateOrder`.
      item_ids: raw ids of the arrays' rows of items, each item of the model once; None if they stand as in
        `model.vocabulary.ids`.

    Raises:
      ValueError: a name, a shape or an item is missing or too many, a value is not finite, or the order is unknown.
        No weight has been changed then.

    >>> from tfrs_gru4rec import GRU4RecConfig, Vocabulary
    >>> model, other = (GRU4Rec(Vocabulary.from_items([7, 8]), GRU4RecConfig(layers=(5,), seed=s)) for s in (0, 1))
    >>> import_weights(other, export_weights(model, "keras"), "keras")
    >>> bool(tf.reduce_all(other.tower.gru_layers[0].kernel == model.tower.gru_layers[0].kernel))
    True
    """
    way, variables = _order(order), _variables(model)
    require(
        set(arrays) == set(variables),
        "The arrays must be those of the model.",
        missing=sorted(set(variables) - set(arrays)),
        unexpected=sorted(set(arrays) - set(variables)),
    )
    places = _places(model, item_ids)
    values = {}
    for name, variable in variables.items():
        value = np.asarray(arrays[name], np.float32)
        wanted = way.transpose(variable.numpy(), name).shape
        require(value.shape == wanted, f"{name} must have another shape.", shape=value.shape, wanted=wanted)
        require(bool(np.isfinite(value).all()), f"{name} must be finite.", n_values=value.size)
        if _has_gates(model, name):
            value = _reorder(way.transpose(value, name), way.gates, _GATES, way)
        values[name] = value[places] if name in _OF_ITEMS else value
    for name, variable in variables.items():
        variable.assign(values[name])


def _order(order: str | GateOrder) -> GateOrder:
    if isinstance(order, GateOrder):
        return order
    require_one_of(ORDERS, order=order)
    return ORDERS[order]


def _variables(model: GRU4Rec) -> dict[str, tf.Variable]:
    items = model.embedding
    found = {"output_table": items.output_table, "output_bias": items.output_bias}
    if not items.is_shared:
        found["input_table"] = items.input_table
    for number, layer in enumerate(model.tower.gru_layers):
        for name in ("kernel", "recurrent_kernel", "bias", "recurrent_bias"):
            variable = getattr(layer, name)
            if variable is not None:
                found[f"{name}_{number}"] = variable
    return found


def _has_gates(model: GRU4Rec, name: str) -> bool:
    return name not in _OF_ITEMS or (name == "input_table" and model.embedding.looks_up_gates)


def _places(model: GRU4Rec, item_ids: Iterable[Any] | None) -> np.ndarray:
    """Returns where each item of the model stands in the arrays."""
    n_items = model.vocabulary.n_items
    if item_ids is None:
        return np.arange(n_items)
    rows = model.vocabulary.rows(list(item_ids))
    rule = "item_ids must name every item of the model once, and no other."
    require(sorted(rows.tolist()) == list(range(n_items)), rule, n_ids=len(rows), n_items=n_items)
    return np.argsort(rows)


def _reorder(array: np.ndarray, before: Gates, after: Gates, order: GateOrder) -> np.ndarray:
    """Puts the gates' blocks side by side in another order, and the update gate in the other sense if need be."""
    blocks = dict(zip(before, np.split(array, 3, axis=-1), strict=True))
    if order.update_keeps:
        blocks["update"] = -blocks["update"]
    return np.concatenate([blocks[gate] for gate in after], axis=-1)
