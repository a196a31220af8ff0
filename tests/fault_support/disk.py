"""What a folder would hold if the machine, or the process alone, stopped at a given moment."""

import builtins
import hashlib
import io
import os
import pathlib
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# Of a tree: content and time of each file, None for a folder, by path.
Tree = dict[str, tuple[bytes, int] | None]

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_LOGS = "train"  # in logs/: what TensorBoard reads, and nothing else


class Disk:
    """Follows a folder while a command writes to it, and notes the distinct states that a stop could leave.

    Before each write three are noted: what is there (the process was killed), the same with every file that was not
    synced empty, and what was synced alone, names by their folder and content by the file (the power failed). A command
    that is killed runs no line more, so its folder is then exactly what is noted here.

    Attributes:
      writes: opens for writing, renames, syncs, removals and new folders below the root.
      states: what was found, each once, in the order of the writes.
    """

    def __init__(self, root: Path) -> None:
        """Takes all that is there for synced."""
        self.root = root
        self.writes = 0
        self.states: list[Tree] = []
        self._seen: set[str] = set()
        self._contents: dict[int, tuple[bytes, int]] = {}
        self._names: dict[int, dict[str, int]] = {}
        self._held: dict[int, int] = {}
        for folder, _, files in os.walk(root):
            self._sync(Path(folder))
            for name in files:
                self._sync(Path(folder, name))

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Notes the states of the disk before each write in the block and at its end."""
        with pytest.MonkeyPatch.context() as patch:
            # In Python 3.10 paths keep the functions that they call as these were when `pathlib` was imported.
            paths = getattr(pathlib, "_NormalAccessor", None)
            for name in ("replace", "rename", "unlink", "remove", "mkdir", "rmdir"):
                noting = self._noting(getattr(os, name))
                patch.setattr(os, name, noting)
                if hasattr(paths, name):
                    patch.setattr(paths, name, staticmethod(noting))
            patch.setattr(os, "open", self._noting(os.open, lambda flags=0, *_, **__: flags & _WRITING))
            noting = self._noting(
                open, lambda mode="r", *_, **__: isinstance(mode, str) and set(mode) & set("wxa+")
            )
            for module in (builtins, io):
                patch.setattr(module, "open", noting)
            if paths:
                patch.setattr(paths, "open", staticmethod(noting))
            sync = os.fsync

            def noting_sync(descriptor: int) -> None:
                self._note_before(Path(os.readlink(f"/proc/self/fd/{descriptor}")))
                sync(descriptor)
                self._sync(Path(f"/proc/self/fd/{descriptor}"))

            patch.setattr(os, "fsync", noting_sync)
            yield
        self._note()

    def close(self) -> None:
        """Lets go of the files."""
        for descriptor in self._held.values():
            os.close(descriptor)

    def _noting(self, function: Callable, is_write: Callable = lambda *_, **__: True) -> Callable:
        def noting(path, *arguments, **named):
            if isinstance(path, str | os.PathLike) and is_write(*arguments, **named):
                folder = named.get("dir_fd")
                above = os.readlink(f"/proc/self/fd/{folder}") if folder is not None else ""
                self._note_before(Path(above, path))
            return function(path, *arguments, **named)

        return noting

    def _note_before(self, path: Path) -> None:
        if path.is_relative_to(self.root):
            self.writes += 1
            self._note()

    def _note(self) -> None:
        there = self._there(lambda path: (path.read_bytes(), path.stat().st_mtime_ns))
        emptied = self._there(lambda path: self._contents.get(path.stat().st_ino, (b"", 0)))
        for state in (there, emptied, self._synced()):
            key = _digest(state)
            if key not in self._seen:
                self._seen.add(key)
                self.states.append(state)

    def _there(self, content: Callable[[Path], tuple[bytes, int]]) -> Tree:
        tree: Tree = {}
        for folder, folders, files in os.walk(self.root):
            folders[:] = [name for name in folders if name != _LOGS]
            for name in (*folders, *files):
                path = Path(folder, name)
                tree[str(path.relative_to(self.root))] = content(path) if name in files else None
        return tree

    def _synced(self) -> Tree:
        tree: Tree = {}

        def walk(inode: int, above: str) -> None:
            for name, child in self._names.get(inode, {}).items():
                path = os.path.join(above, name)
                if name == _LOGS:
                    continue
                if stat.S_ISDIR(os.fstat(self._held[child]).st_mode):
                    tree[path] = None
                    walk(child, path)
                else:
                    tree[path] = self._contents.get(child, (b"", 0))

        walk(self.root.stat().st_ino, "")
        return tree

    def _sync(self, path: Path) -> None:
        inode = self._hold(path)
        if path.is_dir():
            self._names[inode] = {each.name: self._hold(each) for each in list(path.iterdir())}
        else:
            self._contents[inode] = (path.read_bytes(), path.stat().st_mtime_ns)

    def _hold(self, path: Path) -> int:
        """Keeps a file or folder open, lest its number goes to another."""
        inode = path.stat().st_ino
        if inode not in self._held:
            self._held[inode] = os.open(path, os.O_RDONLY)
        return inode


def write_tree(tree: Tree, root: Path) -> None:
    """Lays a state of the disk out in a new folder."""
    root.mkdir()
    for name, found in sorted(tree.items()):
        path = root / name
        if found is None:
            path.mkdir(exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(found[0])
            os.utime(path, ns=(found[1], found[1]))


def _digest(tree: Tree) -> str:
    digest = hashlib.sha256()
    for name, found in sorted(tree.items()):
        digest.update(re.sub("[0-9a-f]{32}", "", name).encode() + b"\0")
        digest.update(b"" if found is None else hashlib.sha256(found[0]).digest())
    return digest.hexdigest()
