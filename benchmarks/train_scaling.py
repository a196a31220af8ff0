"""How the speed of training scales with n_sample, batch size, units and catalogue size: a table and a plot.

    python benchmarks/train_scaling.py --plot_path benchmarks/train_scaling.png

Varies one thing at a time around cross-entropy, 100 units, batch 64, n_sample 2048, 40 thousand items, on random
sessions. The cost of a step must grow with what the step computes, and not with the catalogue.
"""

import dataclasses

from absl import app, flags
from measuring import random_log, sgemm_rate
from train_speed import Recipe, measure

from tfrs_gru4rec.config import GRU4RecConfig, TrainingConfig

BASE = {"n_sample": 2048, "batch_size": 64, "units": 100, "items": 40_000}
VALUES = {
    "n_sample": (0, 512, 2048, 8192),
    "batch_size": (32, 64, 128, 256, 512),
    "units": (64, 128, 256, 512),
    "items": (10_000, 100_000, 1_000_000),
}


@dataclasses.dataclass(frozen=True)
class Point:
    """One measurement."""

    varied: str
    value: int
    milliseconds: float
    share: float


def measure_point(varied: str, value: int, steps: int) -> Point:
    """Trains some steps with one setting changed."""
    settings = {**BASE, varied: value}
    model = GRU4RecConfig(layers=(settings["units"],), n_sample=settings["n_sample"], sample_alpha=0.5)
    recipe = Recipe(model, TrainingConfig(batch_size=settings["batch_size"]))
    # Enough sessions for the steps at the largest batch, and for every item to occur.
    log = random_log(max(settings["batch_size"] * (steps + 300) // 3, settings["items"]), settings["items"])
    sgemm = sgemm_rate(0.5)
    rate = max(measure(recipe, log, steps))
    sgemm = max(sgemm, sgemm_rate(0.5))
    return Point(varied, value, 1e3 / rate, rate * recipe.step_flop / sgemm)


def plot(points: list[Point], path: str) -> None:
    """Draws milliseconds a step against each setting."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(VALUES), figsize=(14, 3.4), sharey=True)
    for axis, varied in zip(axes, VALUES, strict=True):
        mine = [point for point in points if point.varied == varied]
        axis.plot([point.value for point in mine], [point.milliseconds for point in mine], marker="o")
        axis.set_xscale(
            "symlog" if varied == "n_sample" else "log",
            **({"linthresh": 256} if varied == "n_sample" else {}),
        )
        axis.set_xticks([point.value for point in mine], [f"{point.value:,}" for point in mine], fontsize=7)
        axis.minorticks_off()
        axis.set_yscale("log")
        axis.set_xlabel(varied)
        axis.grid(visible=True, which="both", alpha=0.3)
    axes[0].set_ylabel("ms a step")
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main(argv: list[str]) -> None:
    """Prints the table and writes the plot."""
    del argv
    points = []
    print(f"{'varied':12}{'value':>10}{'ms/step':>10}{'steps/s':>10}{'of sgemm':>10}")
    for varied, values in VALUES.items():
        for value in values:
            point = measure_point(varied, value, flags.FLAGS.steps)
            points.append(point)
            cells = f"{point.milliseconds:10.2f}{1e3 / point.milliseconds:10.0f}{point.share:10.1%}"
            print(f"{varied:12}{value:10}{cells}", flush=True)
    if flags.FLAGS.plot_path:
        plot(points, flags.FLAGS.plot_path)


if __name__ == "__main__":
    flags.DEFINE_integer("steps", 512, "Steps to time after the first 256.", lower_bound=256)
    flags.DEFINE_string("plot_path", None, "Write the plot here.")
    app.run(main)
