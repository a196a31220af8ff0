"""What a version will take in memory, estimated from its files, and what there is: asked before it is loaded."""

import contextlib
import math
import pathlib

from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import saved_model_pb2

# A constant of the graph is there as a message, as a tensor, and in a table of ids.
_COPIES_OF_GRAPH = 4
_BYTES = {types_pb2.DT_FLOAT: 4, types_pb2.DT_INT32: 4}  # 8 for any other


def required_bytes(path: pathlib.Path) -> int:
    """Estimates what a version takes: its weights, the memory of its sessions, and its graph."""
    content = (path / "saved_model.pb").read_bytes()
    sizes = {}
    for meta_graph in saved_model_pb2.SavedModel.FromString(content).meta_graphs:
        for node in meta_graph.graph_def.node:
            if node.op == "VarHandleOp":
                shape = [dim.size for dim in node.attr["shape"].shape.dim]
                name = node.attr["shared_name"].s or node.name
                sizes[name] = math.prod(shape) * _BYTES.get(node.attr["dtype"].type, 8)
    return sum(sizes.values()) + _COPIES_OF_GRAPH * len(content)


def available_bytes() -> float:
    """Returns what can be had without swapping, in this machine or container; infinite if nothing tells."""
    found = [math.inf]
    with contextlib.suppress(OSError, ValueError):  # another system, or no such group
        lines = pathlib.Path("/proc/meminfo").read_text().splitlines()
        found += [1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]
        group = pathlib.Path("/sys/fs/cgroup")
        found.append(int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))
    return min(found)


def require_memory(path: pathlib.Path, available: float) -> None:
    """Raises MemoryError unless a version fits."""
    required = required_bytes(path)
    if required > available:
        raise MemoryError(
            f"The version needs about {required >> 20} MiB and {int(available) >> 20} MiB are free; "
            "free memory, or export with fewer max_sessions."
        )
