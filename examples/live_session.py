"""Serves an export and follows a live session over gRPC, then once more after the server was restarted.

    python examples/live_session.py --export_dir exports/shop --first_item 214

The visitor goes on with whatever is recommended in second place. The restart shows what
`SessionClient` is for: the server forgets all sessions, the client notices and replays its own.
"""

import contextlib
import secrets
import subprocess
import sys
from collections.abc import Iterator

from absl import app, flags

from tfrs_gru4rec.export.serving.client import ServedRecommendations, SessionClient


@contextlib.contextmanager
def serving(export_dir: str, port: int) -> Iterator[str]:
    """Runs gru4rec-serve until the block ends; yields its address."""
    command = [sys.executable, "-m", "tfrs_gru4rec.cli.serve", f"--export_dir={export_dir}"]
    command += [f"--port={port}", "--verbosity=-1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            for line in process.stdout or ():
                if line.startswith("listening on "):
                    yield line.split()[-1]
                    return
            raise RuntimeError("The server did not start; its own messages are above.")
        finally:
            process.terminate()


def show(click: int, answer: ServedRecommendations) -> None:
    """Prints the first recommendations after a click."""
    best = ", ".join(str(item) for item in answer.item_ids[:5])
    print(f"  click {answer.session_length}: item {click} ({answer.status.name.lower()}) → {best}")


def main(argv: list[str]) -> None:
    """Clicks, restarts the server, clicks on."""
    del argv
    export_dir, clicks = flags.FLAGS.export_dir, flags.FLAGS.clicks
    session_id = secrets.token_urlsafe(16)  # whoever knows it may read the session and click in it
    with serving(export_dir, 0) as address:
        client = SessionClient(address)
        first_item = flags.FLAGS.first_item
        next_item = int(first_item) if first_item.isdigit() else first_item
        for _ in range(clicks):
            answer = client.click(session_id, next_item)
            show(next_item, answer)
            next_item = answer.item_ids[:2][-1]
    print("The server is restarted, and has forgotten everything:")
    with serving(export_dir, int(address.rsplit(":", 1)[1])), client:
        show(next_item, client.click(session_id, next_item))
        print(f"  session ended: {client.end(session_id)}")


if __name__ == "__main__":
    flags.DEFINE_string("export_dir", None, "Folder that holds the version folders.", required=True)
    flags.DEFINE_string("first_item", None, "Item clicked first.", required=True)
    flags.DEFINE_integer("clicks", 4, "Clicks before the restart.")
    app.run(main)
