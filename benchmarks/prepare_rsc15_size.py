"""Builds RSC15 (or Rees46) from a random raw file of the real one's size, and prints time and peak memory.

    python benchmarks/prepare_rsc15_size.py                        # 33 million clicks, through TFDS
    python benchmarks/prepare_rsc15_size.py --stage splits         # reading and preparing alone
    python benchmarks/prepare_rsc15_size.py --dataset rees46 --rows 110000000 --stage splits

The raw file (1.5 GB for RSC15, 15 GB for Rees46) and the result are written below --folder and removed again. The build
runs in a process of its own, whose peak resident memory is what counts.
"""

from __future__ import annotations

import argparse
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

ROWS = {"rsc15": 33_000_000, "rees46": 110_000_000}
ALLOWED_GB = {"rsc15": 6, "rees46": 20}


def build(dataset: str, stage: str, folder: pathlib.Path) -> None:
    """Prepares the data set from the raw files in the folder, as far as `stage` says."""
    from absl import logging

    logging.set_verbosity(logging.INFO)
    if stage == "splits":
        from tfrs_gru4rec.datasets.published import REES46, load_rsc15
        from tfrs_gru4rec.datasets.session_statistics import describe
        from tfrs_gru4rec.datasets.source import load_splits

        loaded = load_rsc15(folder) if dataset == "rsc15" else load_splits(REES46, folder)
        for name, events in loaded.splits.items():
            print(describe(events, loaded.ticks_per_second).to_line(f"{dataset} {name}"))
        return
    from tfrs_gru4rec.pipelines.tfds_log import load_builder

    builder = load_builder(dataset, data_dir=folder / "tfds", manual_dir=folder)
    for name, split in builder.info.splits.items():
        print(f"{dataset} {name}: {split.num_examples:,} sessions, {split.num_bytes / 1e9:.2f} GB")


def measure(dataset: str, rows: int, stage: str, folder: pathlib.Path) -> None:
    """Writes the raw file, builds from it in another process, and prints the figures."""
    import raw_size_files

    started = time.monotonic()
    if dataset == "rsc15":
        raw_size_files.write_clicks(folder / "yoochoose-clicks.dat", rows)
    else:
        raw_size_files.write_months(folder, rows)
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(
        f"Raw: {rows:,} rows, {size / 1e9:.2f} GB, written in {time.monotonic() - started:.0f} s.", flush=True
    )
    started = time.monotonic()
    arguments = ["--build", "--dataset", dataset, "--stage", stage, "--folder", str(folder)]
    subprocess.run([sys.executable, __file__, *arguments], check=True)
    seconds = time.monotonic() - started
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e9
    print(
        f"{dataset}, {stage}: {seconds:.0f} s, {rows / seconds:,.0f} raw rows/s; peak memory {peak:.2f} GB, "
        f"{peak / ALLOWED_GB[dataset]:.0%} of the {ALLOWED_GB[dataset]} GB it may take, "
        f"{peak * 1e9 / rows:.0f} bytes a raw row."
    )


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", choices=sorted(ROWS), default="rsc15")
    parser.add_argument("--rows", type=int, help="raw rows; the real set's number by default")
    parser.add_argument("--stage", choices=("build", "splits"), default="build")
    parser.add_argument(
        "--folder", type=pathlib.Path, help="for the files; the system's temporary folder by default"
    )
    parser.add_argument("--build", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.build:
        build(given.dataset, given.stage, given.folder)
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        measure(given.dataset, given.rows or ROWS[given.dataset], given.stage, pathlib.Path(folder))


if __name__ == "__main__":
    main()
