"""How much memory the live sessions of an export take, and whether this machine has it."""

import os

from tfrs_gru4rec.checks import require

_ENTRY_BYTES, _FLOAT_BYTES = 24, 4
_RULE = (
    "The memory of so many live sessions must fit into this machine, which loads the export to check it; "
    "give a smaller max_sessions."
)


def require_session_memory(max_sessions: int, record_size: int, available_bytes: int | None = None) -> None:
    """Checks that the live sessions, records of so many floats, fit into memory, by default all that this machine has.

    >>> require_session_memory(10**9, 94, available_bytes=16 * 10**9)
    Traceback (most recent call last):
    ValueError: The memory of so many ... max_sessions. Received: ...gigabytes=400.0, available=16.0.
    """
    if available_bytes is None:
        available_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    needed = max_sessions * (_FLOAT_BYTES * record_size + _ENTRY_BYTES)
    gigabytes, available = round(needed / 1e9, 1), round(available_bytes / 1e9, 1)
    received = {"max_sessions": max_sessions, "gigabytes": gigabytes, "available": available}
    require(needed <= available_bytes, _RULE, **received)
