"""gru4rec-recommend: the likeliest next items of a session.

    gru4rec-recommend --model_dir models/shop --items 214,9,31
    gru4rec-recommend --model_dir models/shop --sessions_path sessions.txt
    gru4rec-recommend --model_dir models/shop

A file has one session a line, its items parted by commas, oldest first. Without --items and --sessions_path the
command asks for sessions at a prompt; an empty line ends it.
"""

import sys
from collections.abc import Iterator, Sequence
from typing import Any

from absl import flags

from tfrs_gru4rec.checks import require, require_positive
from tfrs_gru4rec.cli.command import run_command


def define_flags(values: flags.FlagValues) -> None:
    """Defines the command's flags in `values`."""
    flags.DEFINE_string("model_dir", None, "Folder of the trained model.", flag_values=values, required=True)
    flags.DEFINE_list("items", [], "Items of one session, oldest first.", flag_values=values)
    flags.DEFINE_string("sessions_path", None, "File with one session a line.", flag_values=values)
    flags.DEFINE_integer("top_k", 10, "Items to recommend.", flag_values=values)
    flags.DEFINE_bool("exclude_seen", False, "Leave out items of the session itself.", flag_values=values)


def main(values: flags.FlagValues) -> int:
    """Recommends for each session; returns the exit code."""
    items, path, top_k = values["items"].value, values["sessions_path"].value, values["top_k"].value
    require_positive(top_k=top_k)
    require(bool(items) or not values["items"].present, "--items must name at least one item.", items="")
    require(not (items and path), "Give either --items or --sessions_path.", items=items, sessions_path=path)

    from tfrs_gru4rec.models.recommend import recommend
    from tfrs_gru4rec.training import load_model

    model = load_model(values["model_dir"].value)
    for session in _sessions(items, path):
        found = recommend(model, session, top_k, values["exclude_seen"].value)
        _print_recommendations(session, found)
    return 0


def _sessions(items: Sequence[str], path: str | None) -> Iterator[list[str]]:
    if items:
        yield _parts(",".join(items))
        return
    if path:
        with open(path, encoding="utf-8") as file:
            yield from (_parts(line) for line in file if line.strip())
        return
    is_terminal = sys.stdin.isatty()
    while True:
        if is_terminal:
            print("items> ", end="", flush=True)
        line = sys.stdin.readline()
        if not line.strip():
            return
        yield _parts(line)


def _parts(line: str) -> list[str]:
    return [part.strip() for part in line.split(",") if part.strip()]


def _print_recommendations(session: list[str], found: Any) -> None:
    print(f"after {', '.join(session)}:")
    if found.unknown:
        print(f"  (unknown, left out: {', '.join(map(str, found.unknown))})")
    if len(found.unknown) == len(session):
        print("  (no known item: the most popular ones, with the logarithm of their share of all events)")
    for place, (item, score) in enumerate(zip(found.items, found.scores, strict=True), start=1):
        print(f"  {place:>3}  {item}  {score:.4f}")


def run() -> None:
    """Runs the command."""
    run_command("gru4rec-recommend", define_flags, main)


if __name__ == "__main__":
    run()
