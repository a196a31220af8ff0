"""A page to look at a model: search items, click, and watch how a live session's recommendations follow.

The page is `page.html` and asks the server's own REST API. Here are only the names of the items, which no model has.
"""

import base64
import hashlib
import html
import json
import pathlib
import re
import urllib.parse
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from aiohttp import web

from tfrs_gru4rec.checks import require
from tfrs_gru4rec.export.serving import errors

_FILE = pathlib.Path(__file__).with_name("page.html")
_MAX_FOUND = 24
_MAX_HOSTS = 20
# Nothing is run, loaded or shown that does not come with the page or from the server, but for the items' pictures.
_POLICY = (
    "default-src 'none'; connect-src 'self'; img-src 'self' data:{pictures}; script-src {script}; style-src {style}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Page:
    """The page's routes."""

    def __init__(self, model_name: str, items: pd.DataFrame | None = None, picture_column: str | None = None):
        """Reads the page and what is known of the items.

        Args:
          model_name: the model to ask for.
          items: str columns with what items are called, the name first; the index holds their ids as text.
          picture_column: the column of `items` with the URLs of their pictures.

        Raises:
          ValueError: there is no such column, or the pictures are on more than 20 hosts.
        """
        self._items = pd.DataFrame() if items is None else items
        present = list(self._items.columns)
        require(
            picture_column is None or picture_column in present,
            "picture_column must be a column of the items.",
            picture_column=picture_column,
            present=present,
        )
        self._picture_column = picture_column
        self._shown = [column for column in present if column != picture_column]
        names = (
            " ".join(row) for row in zip(self._items.index, *map(self._items.get, self._shown), strict=True)
        )
        self._texts = pa.array((text.lower() for text in names), pa.string())
        self._html = _FILE.read_text(encoding="utf-8").replace("{{model}}", html.escape(model_name))
        script, style = (self._hash_of(tag) for tag in ("script", "style"))
        self._policy = _POLICY.format(pictures=self._picture_hosts(), script=script, style=style)

    def routes(self) -> list[web.RouteDef]:
        """Returns the page at / and the names of its items."""
        return [web.get("/", self._show), web.post("/page/items", self._answer_items)]

    def find(self, text: str) -> list[dict[str, str]]:
        """Returns up to 24 items whose id or names hold a text, whatever its case."""
        mask = pc.match_substring(self._texts, text.lower())
        places = np.flatnonzero(mask.to_numpy(zero_copy_only=False))[:_MAX_FOUND]
        return self.describe(self._items.index[places])

    def describe(self, item_ids: Sequence[Any]) -> list[dict[str, str]]:
        """Returns id, name, details and picture of items; an item that nothing is known of is called by its id."""
        ids = [str(item_id) for item_id in item_ids]
        rows = self._items.reindex(ids).fillna("")
        shown = rows[self._shown].to_numpy().tolist()
        pictures = rows[self._picture_column] if self._picture_column else [""] * len(ids)
        return [
            {
                "id": item_id,
                "name": (names or [""])[0] or item_id,
                "details": ", ".join(filter(None, names[1:])),
                "picture": url,
            }
            for item_id, names, url in zip(ids, shown, pictures, strict=True)
        ]

    async def _show(self, _: web.Request) -> web.Response:
        headers = {
            "Content-Security-Policy": self._policy,
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
        }
        return web.Response(text=self._html, content_type="text/html", headers=headers)

    async def _answer_items(self, request: web.Request) -> web.Response:
        try:
            asked = json.loads(await request.read())
            found = self.describe(asked["ids"]) if "ids" in asked else self.find(asked["text"])
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise errors.InvalidRequest('The body must be {"ids": […]} or {"text": "…"}.') from error
        return web.json_response(found)

    def _hash_of(self, tag: str) -> str:
        """Returns the page's only element of a kind as the policy names it."""
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", self._html, re.DOTALL)
        return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"

    def _picture_hosts(self) -> str:
        if not self._picture_column:
            return ""
        urls = map(urllib.parse.urlsplit, self._items[self._picture_column].unique())
        hosts = sorted({f"{url.scheme}://{url.netloc}" for url in urls if url.scheme in ("http", "https")})
        require(len(hosts) <= _MAX_HOSTS, "The pictures must be on at most 20 hosts.", hosts=len(hosts))
        return "".join(f" {host}" for host in hosts if re.fullmatch(r"https?://[\w.:\[\]-]+", host))
