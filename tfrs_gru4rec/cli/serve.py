"""gru4rec-serve: serves an exported model over TF Serving's gRPC and REST APIs.

    gru4rec-serve --export_dir=serving/shop --port=8500 --rest_port=8501

serves the largest version in serving/shop, and newer ones as they appear, until SIGTERM or SIGINT.
Clients: tfrs_gru4rec/export/serving/client.py, or any for TF Serving.

    gru4rec-serve --export_dir=serving/shop --page --item_columns=items.csv

shows a page besides, to click through items and watch what is recommended and why.
"""

import dataclasses
from typing import TYPE_CHECKING

from absl import logging

from tfrs_gru4rec.cli.command import Command
from tfrs_gru4rec.cli.flag_groups import require_flags
from tfrs_gru4rec.cli.item_names import NamesConfig
from tfrs_gru4rec.export.serving.config import ServerConfig
from tfrs_gru4rec.settings import Settings

if TYPE_CHECKING:
    from tfrs_gru4rec.export.serving.page import Page

_PAGE_PORT = 8501


@dataclasses.dataclass(frozen=True)
class PageConfig(Settings):
    """A page to look at live sessions, for this machine alone.

    Attributes:
      page: shows it at the address of REST, at port 8501 where no rest_port is given.
      picture_column: column of item_columns with the URLs of the items' pictures, which the page then loads.
    """

    page: bool = False
    picture_column: str | None = None

    def read(self, server: ServerConfig, item_names: NamesConfig) -> "Page | None":
        """Returns the page, if there is to be one.

        Raises:
          ValueError: it would be open to other machines, or the file of items cannot be read or lacks the column.
        """
        given = bool(item_names.item_columns or self.picture_column)
        require_flags(
            self.page or not given, "--item_columns and --picture_column are for --page.", page=self.page
        )
        if not self.page:
            return None
        require_flags(server.is_local, "--page is for this machine alone.", host=server.host)
        names = item_names.read()
        from tfrs_gru4rec.export.serving.page import Page

        return Page(server.model_name, None if names is None else names.columns, self.picture_column)


def main(server: ServerConfig, page: PageConfig, item_names: NamesConfig) -> int:
    """Serves until stopped by SIGTERM or SIGINT; returns the exit code."""
    shown = page.read(server, item_names)
    if shown and server.rest_port is None:
        server = dataclasses.replace(server, rest_port=_PAGE_PORT)
    logging.info("Loading what is in %s.", server.export_dir)
    # Loads TensorFlow, so not before the flags have been found right.
    from tfrs_gru4rec.export.serving.server import Listening, run

    def announce(listening: Listening) -> None:
        print(f"serving {server.model_name} version {listening.version or '(none yet)'}")
        if listening.rest_address:
            url = f"{'https' if server.tls_key else 'http'}://{listening.rest_address}"
            print(f"REST on {url}/v1/models/{server.model_name}")
            if shown:
                print(f"page on {url}")
        print(f"listening on {listening.address}", flush=True)

    run(server, announce, shown)
    return 0


COMMAND = Command("gru4rec-serve", main)
run = COMMAND.run

if __name__ == "__main__":
    run()
