"""Prints the licence of every package that is installed, and fails if one states none."""

import importlib.metadata
import sys


def licence_of(package: importlib.metadata.Distribution) -> str:
    """Returns what a package says of its licence, in the first of four ways; empty if it says nothing."""
    metadata = package.metadata
    by_classifier = [
        line.rsplit(" :: ", 1)[-1]
        for line in metadata.get_all("Classifier", [])
        if line.startswith("License :: ") and line != "License :: OSI Approved"
    ]
    said = metadata.get("License-Expression") or ", ".join(by_classifier) or metadata.get("License") or ""
    if not said:  # the line of its licence's text that says which one it is
        names = metadata.get_all("License-File", [])
        texts = [package.read_text(f"{folder}{name}") or "" for name in names for folder in ("licenses/", "")]
        said = next((line for text in texts for line in text.splitlines() if "icense" in line), "")
    return next(iter(said.strip().splitlines()), "")


def main() -> int:
    """Prints the list; returns the exit code."""
    found = {each.metadata["Name"]: each for each in importlib.metadata.distributions()}
    unknown = []
    for name, package in sorted(found.items(), key=lambda item: item[0].lower()):
        licence = licence_of(package)
        print(f"{name:32}{package.version:16}{licence or 'unknown'}")
        if not licence:
            unknown.append(name)
    if unknown:
        print(f"No licence is stated by {', '.join(unknown)}: look it up.", file=sys.stderr)
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
