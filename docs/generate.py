"""Writes the pages of the site that are made from the code: `python docs/generate.py build/docs`.

The other pages are copied beside them as they are. Nothing of MkDocs is needed here, so tests read these pages too.
"""

import importlib
import inspect
import re
import shutil
import sys
from pathlib import Path

from tfrs_gru4rec.cli.command import Command
from tfrs_gru4rec.cli.help_text import help_text
from tfrs_gru4rec.export.signatures import RECOMMEND_GRU, SIGNATURES, Signature, Tensor

ROOT = Path(__file__).parent.parent
COMMANDS = ("prepare", "train", "tune", "evaluate", "recommend", "inspect", "export", "serve", "daily")
ROOMS = {
    "tfrs_gru4rec": "Public names",
    "tfrs_gru4rec.losses": "Losses",
    "tfrs_gru4rec.sampling": "Sampling",
    "tfrs_gru4rec.metrics": "Figures",
}
ALSO = {"tfrs_gru4rec.export.serving.client.SessionClient": "Client of the server"}


def pages() -> dict[str, str]:
    """Returns the Markdown of each page by its path in the site."""
    return {
        **{f"commands/{name}.md": command_page(name) for name in COMMANDS},
        "reference.md": reference_page(),
        "signatures.md": signatures_page(),
        **{f"{name.lower()}.md": root_page(name) for name in ("SECURITY", "CHANGELOG")},
    }


def command_page(name: str) -> str:
    """Returns what `--help` of a command prints."""
    module = importlib.import_module(f"tfrs_gru4rec.cli.{name}")
    command: Command = module.COMMAND
    text = help_text(command.name, module.__doc__, command.groups, command.defaults)
    return f"# {command.name}\n\n```text\n{text}\n```\n"


def reference_page() -> str:
    """Returns what has mkdocstrings put in the docstring of each public class and function."""
    parts = ["# Reference", "Made from the docstrings. The tests run each example."]
    for room, title in ROOMS.items():
        module = importlib.import_module(room)
        values = [getattr(module, name) for name in module.__all__]
        shown = [value for value in values if inspect.isclass(value) or inspect.isroutine(value)]
        parts += [f"## {title}", *(f"::: {value.__module__}.{value.__qualname__}" for value in shown)]
    for name, title in ALSO.items():
        parts += [f"## {title}", f"::: {name}"]
    return "\n\n".join(parts) + "\n"


def signatures_page() -> str:
    """Returns the contract that exports are served by, from the module that states it."""
    module = sys.modules[Signature.__module__]
    constants = [(name, value) for name, value in vars(module).items() if re.match("(MAX|PAD)_", name)]
    limits = [f"| `{name}` | {value!r} |" for name, value in constants if isinstance(value, int | bytes)]
    parts = ["# Signatures", module.__doc__ or "", "\n".join(["| name | value |", "|---|---|", *limits])]
    for signature in [*SIGNATURES.values(), RECOMMEND_GRU]:
        parts += [f"## {signature.name}", signature.meaning]
        parts += [_tensor_table("input", signature.inputs), _tensor_table("output", signature.outputs)]
    status = re.sub(r"(?m)^    ", "", module.Status.__doc__ or "")
    return "\n\n".join([*parts, "## Status", status]) + "\n"


def root_page(name: str) -> str:
    """Returns a file of the repository's root, with its links into the repository as plain names."""
    text = (ROOT / f"{name}.md").read_text(encoding="utf-8")
    return re.sub(r"\[([^]]+)\]\((?!https?:|#)[^)]+\)", r"`\1`", text)


def _tensor_table(kind: str, tensors: tuple[Tensor, ...]) -> str:
    rows = [
        f"| `{each.name}` | {each.dtype} | [{', '.join(each.shape)}] | {each.meaning} |" for each in tensors
    ]
    return "\n".join([f"| {kind} | type | shape | meaning |", "|---|---|---|---|", *rows])


def main(target: Path) -> None:
    """Fills the folder with all pages of the site, made anew."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(
        ROOT / "docs", target, ignore=shutil.ignore_patterns("*.py", "*.yml", "requirements.*", "__pycache__")
    )
    for path, text in pages().items():
        (target / path).parent.mkdir(exist_ok=True)
        (target / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
