r"""gru4rec-recommend: the likeliest next items of a session.

    gru4rec-recommend --model_dir models/shop --items 214,9,31
    gru4rec-recommend --model_dir models/shop --sessions_path sessions.txt
    gru4rec-recommend --model_dir models/shop --item_columns items.csv
    gru4rec-recommend --model_dir models/shop --sessions_path s.parquet --output_path recs.parquet
    gru4rec-recommend --model_dir models/shop --sessions_path 'hdfs://shop/sessions/*.parquet' \
        --output_path hdfs://shop/recs.parquet --engine spark --spark_master spark://host:7077
    gru4rec-recommend --export_dir exports/shop --sessions_path s.parquet --output_path recs.parquet

A file has one session a line, its items parted by commas, oldest first. With --output_path it is a log, as for
training, or JSON lines such as {"session": 17, "items": [214, 9]}, and a table of session, rank, item and score is
written. Without --items and --sessions_path the command asks for sessions at a prompt; an empty line ends it.

With --export_dir the answers are those of an exported version, the newest in the folder: of sessions longer than 1,024
items by the latest, and without --exclude_seen as it was exported.

With --engine spark both are Parquet on Spark's own paths, and the result is a folder of parts. Each Python process of
the workers, which must have this package, loads the model once. It needs pyspark (pip install 'tfrs_gru4rec[spark]')
and a Java runtime, 17 or later.
"""

import dataclasses
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from absl import logging

from tfrs_gru4rec.cli.command import Command
from tfrs_gru4rec.cli.flag_groups import require_flags
from tfrs_gru4rec.cli.item_names import NamesConfig
from tfrs_gru4rec.cli.recommenders import Source
from tfrs_gru4rec.cli.session_files import OUTPUT_SUFFIXES, read_sessions, write_recommendations
from tfrs_gru4rec.cli.spark_flags import SparkConfig
from tfrs_gru4rec.config import ColumnConfig, RecommendConfig
from tfrs_gru4rec.settings import Settings


@dataclasses.dataclass(frozen=True)
class SessionConfig(Settings):
    """Whose next items are asked for, and which model.

    Attributes:
      model_dir: folder of the trained model.
      export_dir: instead: folder of exported versions, of which the newest recommends, or of one version.
      items: items of one session, oldest first.
      sessions_path: file with one session a line; with output_path a log, or JSON lines.
      output_path: file to write, .parquet, .tsv, .csv or .jsonl.
    """

    model_dir: Path | None = None
    export_dir: Path | None = None
    items: tuple[str, ...] | None = None
    sessions_path: str | None = None
    output_path: str | None = None

    def __post_init__(self) -> None:
        """Checks that the sessions come from one place."""
        super().__post_init__()
        require_flags(self.items != (), "--items must name at least one item.", items="")
        require_flags(
            not (self.items and self.sessions_path),
            "Give either --items or --sessions_path.",
            items=self.items,
            sessions_path=self.sessions_path,
        )
        if self.output_path:
            require_flags(
                bool(self.sessions_path), "--output_path needs --sessions_path.", sessions_path=None
            )
            is_known = Path(self.output_path).suffix in OUTPUT_SUFFIXES
            rule = f"--output_path must end in one of {', '.join(OUTPUT_SUFFIXES)}."
            require_flags(is_known, rule, output_path=self.output_path)

    def source(self, asked: RecommendConfig) -> Source:
        """Finds the model; see `Source.find` for the errors."""
        require_flags(
            bool(self.model_dir) != bool(self.export_dir),
            "Give either --model_dir or --export_dir.",
            model_dir=self.model_dir and str(self.model_dir),
            export_dir=self.export_dir and str(self.export_dir),
        )
        return Source.find(self.model_dir, self.export_dir, asked.top_k)


def main(
    sessions: SessionConfig,
    columns: ColumnConfig,
    recommendations: RecommendConfig,
    item_names: NamesConfig,
    spark: SparkConfig,
) -> int:
    """Recommends for each session; returns the exit code."""
    source = sessions.source(recommendations)
    if spark.engine == "spark":
        return _recommend_on_spark(source, sessions, columns, recommendations, spark)
    names = item_names.read()
    path = sessions.sessions_path
    by_id = read_sessions(path, columns) if path and sessions.output_path else {}
    logging.info("Loading the model in %s.", source.folder)
    model = source.load()
    asked = (recommendations.top_k, recommendations.exclude_seen)
    if sessions.output_path:
        found = model.recommend(by_id, *asked)
        write_recommendations(found, Path(sessions.output_path))
        print(f"{len(found)} recommendations for {len(by_id)} sessions are in {sessions.output_path}.")
        return 0
    for session in _sessions(sessions):
        unknown = model.unknown(session)
        found = model.recommend({0: session}, *asked)
        _print_recommendations(session, unknown, found, names.label if names else str)
    return 0


def _recommend_on_spark(
    source: Source,
    sessions: SessionConfig,
    columns: ColumnConfig,
    recommendations: RecommendConfig,
    spark: SparkConfig,
) -> int:
    path, target = sessions.sessions_path or "", sessions.output_path or ""
    is_parquet = bool(path) and target.endswith(".parquet")
    rule = "--engine spark needs --sessions_path and an --output_path that ends in .parquet."
    require_flags(is_parquet, rule, sessions_path=path, output_path=target)
    name = target.rpartition("/")[2]
    with spark.folder(target[: -len(name)] or ".") as folder:
        from tfrs_gru4rec.cli import spark_recommend

        n_found, n_sessions = spark_recommend.write_recommendations(
            folder, name, source, path, columns, recommendations
        )
    print(f"{n_found} recommendations for {n_sessions} sessions are in {target}.")
    return 0


def _sessions(sessions: SessionConfig) -> Iterator[list[str]]:
    if sessions.items:
        yield _parts(",".join(sessions.items))
        return
    if sessions.sessions_path:
        with open(sessions.sessions_path, encoding="utf-8") as file:
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


def _print_recommendations(
    session: list[str], unknown: list[str], found: Any, label: Callable[[Any], str]
) -> None:
    print(f"after {', '.join(map(label, session))}:")
    if unknown:
        print(f"  (unknown, left out: {', '.join(unknown)})")
    if len(unknown) == len(session):
        print("  (no known item: the most popular ones, with the logarithm of their share of all events)")
    for rank, item, score in zip(found["rank"], found["item"], found["score"], strict=True):
        print(f"  {rank:>3}  {label(item)}  {score:.4f}")


COMMAND = Command("gru4rec-recommend", main)
run = COMMAND.run

if __name__ == "__main__":
    run()
