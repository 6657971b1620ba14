"""Digests of what lies on disk, each computed once a run and kept while the file's status says that it is the same."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import stat
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from bench.hashing import digest
from bench.manifest.distributions import record_digest, record_of

SETTLED = 2.0
"""Seconds after its last change from which a file's status is trusted to tell the next change."""
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
_CACHES = ("__pycache__",)


class StatusCache:
    """Digests of files, reused while device, inode, size and both times are equal and the times are old enough."""

    def __init__(self) -> None:
        self._file: Path | None = None
        self._kept: dict[str, list[int | str]] = {}
        self._changed = False

    def open(self, file: Path) -> None:
        """Go on with what an earlier run kept in a file, and keep what is found there."""
        if self._file != file:
            self._file, self._kept, self._changed = file, {**_read_cache(file), **self._kept}, bool(self._kept)

    def get(self, kind: str, path: str, make: Callable[[str], str]) -> str | None:
        """A digest; None where there is no regular file that can be read."""
        try:
            before = os.stat(path)
            if not stat.S_ISREG(before.st_mode):
                return None
            status = [before.st_dev, before.st_ino, before.st_size, before.st_mtime_ns, before.st_ctime_ns]
            key = f"{kind} {path}"
            kept = self._kept.get(key)
            if kept is not None and kept[:5] == status:
                return str(kept[5])
            found = make(path)
        except OSError:
            return None
        if time.time() - max(before.st_mtime, before.st_ctime) > SETTLED:
            self._kept[key] = [*status, found]
            self._changed = True
        return found

    def save(self) -> None:
        """Keep the digests for later runs, where there are new ones and the file can be written."""
        if self._file is None or not self._changed or not self._file.parent.is_dir():
            return
        from bench.engine.store import write_whole
        from bench.errors import BenchError

        with suppress(BenchError):  # a store that cannot be written is told of elsewhere
            write_whole(self._file, json.dumps({"format": 1, "digests": self._kept}).encode())
            self._changed = False


CACHE = StatusCache()
"""The digests of this process."""


class Digests:
    """Digests of files, Python sources and folders, each computed once in one object: a run sees one state of the disk.

    Args:
        hidden: Folders whose names and contents never count, such as the store.
    """

    def __init__(self, hidden: Iterable[str] = ()) -> None:
        self.hidden = tuple(hidden)
        self._seen: dict[str, str | None] = {}

    def file(self, path: str) -> str | None:
        """The digest of a file's bytes; None where there is no file that can be read."""
        return self._once(f"file {path}", lambda: CACHE.get("file", path, bytes_digest))

    def source(self, path: str) -> str | None:
        """The digest of a Python source's syntax tree, which comments and layout leave as it is."""
        return self._once(f"source {path}", lambda: CACHE.get(f"source {PYTHON}", path, source_digest))

    def listing(self, path: str, without: Iterable[str] = ()) -> str | None:
        """The digest of a folder's names, bytecode and hidden folders left out; None where there is no folder."""
        left_out = set(without)
        return self._once(f"listing {path} {sorted(left_out)}", lambda: self._listing(path, left_out))

    def tree(self, path: str) -> str | None:
        """The digest of all names and contents below a folder."""
        return self._once(f"tree {path}", lambda: self._tree(path))

    def distribution(self, name: str) -> str | None:
        """The version of an installed distribution and the digest of its `RECORD`; None where it is not installed."""
        return self._once(f"distribution {name}", lambda: self._distribution(name))

    def _distribution(self, name: str) -> str | None:
        found = record_of(name)
        if found is None:
            return None
        version, record = found
        return f"{version} {CACHE.get('record', record, record_digest) or 'without RECORD'}"

    def _once(self, key: str, make: Callable[[], str | None]) -> str | None:
        if key not in self._seen:
            self._seen[key] = make()
        return self._seen[key]

    def _listing(self, path: str, without: set[str]) -> str | None:
        try:
            with os.scandir(path) as entries:
                names = sorted(
                    (entry.name, entry.is_dir())
                    for entry in entries
                    if entry.name not in without and not self._hides(entry)
                )
        except OSError:
            return None
        return digest(names)

    def _hides(self, entry: os.DirEntry[str]) -> bool:
        """Whether a name in a folder is bytecode, holds a hidden folder, or is a run folder of bench."""
        if entry.name in _CACHES:
            return True
        if not entry.is_dir(follow_symlinks=False):
            return False
        path = entry.path
        if any(hidden == path or hidden.startswith(path + os.sep) for hidden in self.hidden):
            return True
        return os.path.exists(os.path.join(path, "journal.jsonl")) and os.path.exists(os.path.join(path, "run.json"))

    def _tree(self, path: str) -> str | None:
        if not os.path.isdir(path):
            return None
        found: list[list[str | None]] = []
        visited: set[tuple[int, int]] = set()
        waiting = [(path, "")]
        while waiting:
            folder, prefix = waiting.pop()
            with suppress(OSError):
                status = os.stat(folder)
                if (status.st_dev, status.st_ino) in visited:  # a link back up
                    continue
                visited.add((status.st_dev, status.st_ino))
                with os.scandir(folder) as entries:
                    for entry in entries:
                        if self._hides(entry):
                            continue
                        name = prefix + entry.name
                        if entry.is_dir():
                            waiting.append((entry.path, name + "/"))
                            found.append([name + "/", None])
                        else:
                            found.append([name, self.file(entry.path)])
        return digest(sorted(found, key=lambda pair: str(pair[0])))


def _read_cache(cache: Path) -> dict[str, list[int | str]]:
    """What was kept; anything unexpected counts as nothing."""
    try:
        if not stat.S_ISREG(cache.stat().st_mode):
            return {}
        content = json.loads(cache.read_bytes())
        kept = content["digests"] if content["format"] == 1 else {}
        return {
            key: entry
            for key, entry in kept.items()
            if isinstance(entry, list) and len(entry) == 6 and isinstance(entry[5], str)
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def bytes_digest(path: str) -> str:
    """The digest of a file's bytes. Raises OSError where it cannot be read."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]


def source_digest(path: str) -> str:
    """The digest of a source's syntax tree without positions; of its bytes where it cannot be parsed.

    Raises:
        OSError: It cannot be read.
    """
    with open(path, "rb") as file:
        content = file.read()
    try:
        tree = ast.dump(ast.parse(content), include_attributes=False)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return "bytes " + hashlib.sha256(content).hexdigest()[:24]
    return hashlib.sha256(f"{PYTHON}\0{tree}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
