"""What the items are called in a command's tables."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from tfrs_gru4rec.settings import Settings

if TYPE_CHECKING:
    from tfrs_gru4rec.events.item_names import ItemNames


@dataclasses.dataclass(frozen=True)
class NamesConfig(Settings):
    """Names of the items.

    >>> NamesConfig().read() is None
    True

    Attributes:
      item_columns: CSV, TSV or Parquet file with a header line, item ids in the first column and names in the others;
        tables show the names beside the ids.
    """

    item_columns: Path | None = None

    def read(self) -> "ItemNames | None":
        """Reads the file, if there is one.

        Raises:
          FileNotFoundError: there is no such file.
          ValueError: it holds no names.
        """
        if self.item_columns is None:
            return None
        from tfrs_gru4rec.events.item_names import ItemNames

        return ItemNames.from_file(self.item_columns)
