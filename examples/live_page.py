"""A page of a shop whose recommendations follow each visitor, click by click.

    gru4rec-serve --export_dir exports/shop --port 8500
    python examples/live_page.py --items_path shop/items.csv --server localhost:8500

Then open http://localhost:8000. The browser gets a token of the page alone; the session's id stays in here.
"""

import dataclasses
import html
import http.cookies
import http.server
import secrets
import urllib.parse
from typing import ClassVar

import pandas as pd
from absl import app, flags

from tfrs_gru4rec.export.serving.client import SessionClient

PAGE = """<!doctype html><meta charset="utf-8"><title>A shop</title>
<style>body {{ font: 16px sans-serif; margin: 2em auto; max-width: 40em }} button {{ margin: .2em }}</style>
<h1>A shop</h1><p>You looked at: {clicked}</p><h2>{title}</h2><form method="post">{buttons}</form>"""


@dataclasses.dataclass
class Visit:
    """A visitor's session: its id on the server, the names clicked, and the items to show."""

    item_ids: list[str]
    title: str = "Some items"
    session_id: str = dataclasses.field(default_factory=lambda: secrets.token_urlsafe(16))
    clicked: list[str] = dataclasses.field(default_factory=list)


class Shop(http.server.BaseHTTPRequestHandler):
    """Shows a visitor's page, and passes clicks on to the server of the model."""

    client: SessionClient
    names: ClassVar[dict[str, str]] = {}
    visits: ClassVar[dict[str, Visit]] = {}

    def do_GET(self) -> None:  # noqa: N802, the name that http.server asks for
        """Shows the page as it stands."""
        token, visit = self._visit()
        buttons = "".join(
            f'<button name="item" value="{html.escape(item)}">{html.escape(self.names[item])}</button>'
            for item in visit.item_ids
        )
        clicked = html.escape(", ".join(visit.clicked) or "nothing yet")
        body = PAGE.format(clicked=clicked, title=visit.title, buttons=buttons).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Set-Cookie", f"visit={token}; HttpOnly; SameSite=Lax")
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:  # noqa: N802
        """Takes a click, and shows the page anew."""
        _, visit = self._visit()
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        item = form["item"][0]
        if item in self.names:
            answer = self.client.click(visit.session_id, item)
            visit.clicked.append(self.names[item])
            visit.item_ids, visit.title = [str(each) for each in answer.item_ids], "You may like"
        self.send_response(303)
        self.send_header("Location", "/")
        self.end_headers()

    def _visit(self) -> tuple[str, Visit]:
        cookie = http.cookies.SimpleCookie(self.headers.get("Cookie", ""))
        token = cookie["visit"].value if "visit" in cookie else ""
        if token not in self.visits:
            token = secrets.token_urlsafe(16)
            self.visits[token] = Visit(list(self.names)[:20])
        return token, self.visits[token]


def main(argv: list[str]) -> None:
    """Shows the page until it is interrupted."""
    del argv
    items = pd.read_csv(flags.FLAGS.items_path, dtype=str)
    Shop.names = dict(zip(items.iloc[:, 0], items.iloc[:, 1], strict=True))
    with SessionClient(flags.FLAGS.server) as Shop.client:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", flags.FLAGS.port), Shop)
        print(f"http://localhost:{server.server_port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    flags.DEFINE_string("items_path", None, "CSV file with item ids and names.", required=True)
    flags.DEFINE_string("server", "localhost:8500", "Address of the server.")
    flags.DEFINE_integer("port", 8000, "Port of the page, on this machine alone; 0: any.")
    app.run(main)
