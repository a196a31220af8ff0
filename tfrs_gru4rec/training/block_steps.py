"""How many steps one call of the compiled program holds: a run can be saved, shown and stopped between calls."""

from tfrs_gru4rec.config import GRU4RecConfig, TrainingConfig

FEWEST, MOST = 16, 128
_BLOCK_FLOP = 50e9  # about a second on two cores


def step_flop(model: GRU4RecConfig, training: TrainingConfig) -> float:
    """Counts the multiplications and additions of a step's matrix products, forward and backward.

    A product of [m, k] and [k, n] takes 2·m·k·n, and its two gradients as much each. Scores are one product,
    [lanes, units] by [units, lanes + n_sample]; a GRU layer multiplies its input and its state by three gates each.

    >>> step_flop(GRU4RecConfig(layers=(10,), n_sample=6), TrainingConfig(batch_size=4))  # 6·4·10·10 + 36·4·10·10
    16800.0
    """
    lanes, units = training.batch_size, model.layers[-1]
    # 0: gates are looked up, not multiplied.
    width = units if model.constrained_embedding else model.embedding
    flop = 6.0 * lanes * units * (lanes + model.n_sample)
    for before, after in zip((width, *model.layers), model.layers, strict=False):
        flop += 18.0 * lanes * after * (before + after)
    return flop


def block_steps(model: GRU4RecConfig, training: TrainingConfig) -> int:
    """Chooses how many steps make a block, by what a step costs: a power of two from 16 to 128.

    It is a function of the settings alone, since a run that goes on from a checkpoint needs the same number again.

    >>> block_steps(GRU4RecConfig(layers=(512,)), TrainingConfig(batch_size=128))
    16
    """
    affordable = _BLOCK_FLOP / step_flop(model, training)
    steps = MOST
    while steps > FEWEST and steps > affordable:
        steps //= 2
    return steps
