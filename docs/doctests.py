"""Has the site show the `>>>` examples of docstrings as code: an extension of griffe, which reads them."""

from typing import Any

import griffe


class Fences(griffe.Extension):
    """Puts a fence around each example; Markdown would take `>>>` for quotations in quotations."""

    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Changes the docstring of a class, function or module as it is read."""
        del kwargs
        if obj.docstring:
            obj.docstring.value = fenced(obj.docstring.value)


def fenced(text: str) -> str:
    """Returns the text with a fence around each block of lines from `>>>` to the next empty line."""
    lines: list[str] = []
    end = ""
    for line in [*text.splitlines(), ""]:
        start = line.lstrip()
        if start.startswith(">>> ") and not end:
            indent = line[: len(line) - len(start)]
            end = f"{indent}```"
            lines += ["", f"{indent}```pycon"]
        elif not start and end:
            lines.append(end)
            end = ""
        lines.append(line)
    return "\n".join(lines[:-1])
