"""Checks of a request, in the graph: a malformed one fails with INVALID_ARGUMENT, and no session is read."""

import tensorflow as tf

from tfrs_gru4rec.export import signatures
from tfrs_gru4rec.export.signatures import ITEM, MAX_SIZES, PAD_INTEGER, Signature, Tensor


def checked(signature: Signature, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Returns the inputs of a call by name; whatever uses them waits for the checks that they keep to the contract."""
    # The shapes of the signature are promises that a C++ session does not check; EnsureShape does.
    ranked = {
        tensor.name: tf.ensure_shape(inputs[tensor.name], (None,) * len(tensor.shape))
        if signatures.STATE_SIZE not in tensor.shape
        else tf.ensure_shape(inputs[tensor.name], inputs[tensor.name].shape)
        for tensor in signature.inputs
    }
    checks = _batch_checks(signature, ranked)
    for tensor in signature.inputs:
        checks += _value_checks(tensor, ranked[tensor.name])
    with tf.control_dependencies(checks):
        return {name: tf.identity(values) for name, values in ranked.items()}


def _batch_checks(signature: Signature, inputs: dict[str, tf.Tensor]) -> list[tf.Operation]:
    sizes = {name: tf.shape(values)[0] for name, values in inputs.items()}
    (first, first_size), *others = sizes.items()
    rule = f"{signature.name}: a request must have 1 to {signatures.MAX_BATCH} rows."
    checks = [_require((first_size > 0) & (first_size <= signatures.MAX_BATCH), rule, rows=first_size)]
    for name, size in others:
        rule = f"{signature.name}: {name} must have as many rows as {first}."
        checks.append(_require(size == first_size, rule, **{first: first_size, name: size}))
    return checks


def _value_checks(tensor: Tensor, values: tf.Tensor) -> list[tf.Operation]:
    name = tensor.name
    if name == "session_id":
        sizes = tf.strings.length(values)
        limit = signatures.MAX_SESSION_ID_BYTES
        fits = tf.reduce_all((sizes > 0) & (sizes <= limit))
        return [_require(fits, f"{name} must be 1 to {limit} bytes long.", bytes=sizes)]
    if name == "position":
        return [_require(tf.reduce_all(values >= 0), f"{name} must be 0 or more.", position=values)]
    if name == "state":
        finite = tf.reduce_all(tf.math.is_finite(values))
        return [_require(finite, f"{name} must be finite, as step_explicit returned it.")]
    checks = []
    if len(tensor.shape) == 2:
        limit = MAX_SIZES[tensor.shape[1]]
        columns = tf.shape(values)[1]
        checks.append(
            _require(columns <= limit, f"{name} must have at most {limit} columns.", columns=columns)
        )
    if tensor.dtype == ITEM:
        checks += _item_checks(tensor, values)
    return checks


def _item_checks(tensor: Tensor, values: tf.Tensor) -> list[tf.Operation]:
    may_pad = len(tensor.shape) == 2
    if values.dtype == tf.string:
        limit = signatures.MAX_ITEM_ID_BYTES
        sizes = tf.strings.length(values)
        fits = tf.reduce_all((sizes <= limit) & ((sizes > 0) | may_pad))
        return [_require(fits, f"{tensor.name} must be 1 to {limit} bytes long.", bytes=sizes)]
    if may_pad:
        return []
    fits = tf.reduce_all(values != PAD_INTEGER)
    return [_require(fits, f"{tensor.name} must not be the pad id {PAD_INTEGER}.", item_id=values)]


def _require(condition: tf.Tensor, rule: str, **received: tf.Tensor) -> tf.Operation:
    data = [tf.constant(rule)]
    for name, values in received.items():
        data += [tf.constant(f"Received: {name}="), values]
    return tf.raw_ops.Assert(condition=condition, data=data, summarize=8)
