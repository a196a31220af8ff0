"""What the clients of an export folder rely on, version after version."""

import dataclasses
import os
from pathlib import Path

from google.protobuf.message import DecodeError
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import saved_model_pb2

from tfrs_gru4rec.checks import require
from tfrs_gru4rec.export.signatures import RECOMMEND_GRU, SERVING_DEFAULT
from tfrs_gru4rec.export.version_folders import version_folders

_ITEM_TYPES = {types_pb2.DT_STRING: "string", types_pb2.DT_INT64: "integer"}


@dataclasses.dataclass(frozen=True)
class Contract:
    """What must not change, or not become less."""

    item_type: str  # "string" or "integer": what item ids are
    top_k: int  # items recommended
    signatures: frozenset[str]  # names of the signatures

    def require_kept_by(self, new: "Contract", **place: object) -> None:
        """Raises ValueError, of one line, if a new version would break what clients of this one rely on.

        >>> Contract("integer", 20, frozenset({"step"})).require_kept_by(Contract("string", 20, frozenset({"step"})))
        Traceback (most recent call last):
        ValueError: Clients of this export folder send and get item ids of one type: export into another folder. \
Received: served='integer', new='string'.
        """
        elsewhere = "export into another folder."
        rule = f"Clients of this export folder send and get item ids of one type: {elsewhere}"
        require(new.item_type == self.item_type, rule, **place, served=self.item_type, new=new.item_type)
        rule = f"Clients of this export folder rely on so many items: give a top_k of at least that, or {elsewhere}"
        require(new.top_k >= self.top_k, rule, **place, served=self.top_k, new=new.top_k)
        rule = f"Clients of this export folder rely on these signatures, which the new version lacks: {elsewhere}"
        gone = sorted(self.signatures - new.signatures)
        require(not gone, rule, **place, gone=gone)


def read_contract(version_dir: str | os.PathLike[str]) -> Contract | None:
    """Reads what a version offers from its files; None if it is no model of ours or damaged."""
    try:
        content = (Path(version_dir) / "saved_model.pb").read_bytes()
        definitions = saved_model_pb2.SavedModel.FromString(content).meta_graphs[0].signature_def
        default = definitions[SERVING_DEFAULT.name]
        item_type = _ITEM_TYPES[default.inputs["item_ids"].dtype]
        top_k = default.outputs["item_ids"].tensor_shape.dim[1].size
    except (OSError, DecodeError, LookupError):
        return None
    names = frozenset(name for name in definitions if not name.startswith("__"))
    return Contract(item_type, top_k, names - {RECOMMEND_GRU.name})


def served_contract(export_dir: str | os.PathLike[str]) -> tuple[int, Contract] | None:
    """Returns the newest version of an export folder and what it offers; None if there is none that can be read.

    >>> served_contract("no/such/folder") is None
    True
    """
    folders = version_folders(export_dir) if os.path.isdir(export_dir) else {}
    for version, path in sorted(folders.items(), reverse=True):
        contract = read_contract(path)
        if contract is not None:
            return version, contract
    return None


def require_contract_kept(export_dir: str | os.PathLike[str], new: Contract, **place: object) -> None:
    """Raises ValueError if a new version would break what clients of a folder's newest one rely on."""
    found = served_contract(export_dir)
    if found is not None:
        version, served = found
        served.require_kept_by(new, export_dir=os.fspath(export_dir), served_version=version, **place)
