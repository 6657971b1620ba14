"""The content-addressed store: one file a finished job, written whole or not at all, never believed when damaged."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from bench.errors import BenchError
from bench.hashing import arrays_digest
from bench.manifest.entries import ManifestError, Manifests, as_bytes

FORMAT = 1
"""Version of the header of records."""
_MAGIC = b"bench-record-1 "
PARTIAL = ".partial-"
"""How the name of a file begins that is being written, or was when its process was killed."""
_HEADER = len(_MAGIC) + 64 + 1
_MANIFESTS = "manifest"
DIGESTS = "digests.json"
"""File of a store that keeps digests of users' files by their status."""


@dataclass(frozen=True)
class Header:
    """What a record says of itself.

    Attributes:
        kind: The kind of its job.
        key: The key of its job.
        content: Names what it holds.
        manifest: Names the list of what making it used; empty where all of that is in the key.
        format: Version of this header.
    """

    kind: str
    key: str
    content: str
    manifest: str = ""
    format: int = FORMAT

    @property
    def file_name(self) -> str:
        """The name of the file that holds the record."""
        return file_name(self.key, self.manifest)


def file_name(key: str, manifest: str) -> str:
    """The name of the file of a record: its key, and what names its list where it has one."""
    return f"{key}.{manifest}" if manifest else key


@dataclass(frozen=True)
class Record:
    """What a job left.

    Attributes:
        meta: Small facts, as JSON.
        arrays: Named arrays.
        header: What it says of itself; None in a file of the zoo, whose index says it.
    """

    meta: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]
    header: Header | None = None

    @property
    def content(self) -> str:
        """Names what it holds; equal results have equal contents, whatever machine and minute they come from."""
        return str(self.meta["content"]) if self.header is None else self.header.content


class DamagedError(BenchError):
    """A stored file whose bytes are not those that were written."""


class ForeignError(DamagedError):
    """A stored file that is the record of another job, or of another list."""


class Store:
    """Finished jobs below one folder, by kind and key.

    Layout: ``<root>/<kind>/<first two digits>/<key>``, or ``<key>.<manifest>`` where a job ran users' code: one key has
    a file for each list of what making its result used. A file is a line with the SHA-256 of the rest, and the rest is
    in safetensors format with the header and the facts as metadata. Lists are in ``<root>/manifest``, by content.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._manifests: dict[str, Manifests | None] = {}
        self._shards: dict[Path, tuple[int, dict[str, list[str]]]] = {}
        self._folders: dict[tuple[str, str], Path] = {}

    def path(self, kind: str, key: str, manifest: str = "") -> Path:
        """Where the record of a job is, or would be."""
        return self._folder(kind, key) / file_name(key, manifest)

    def _folder(self, kind: str, key: str) -> Path:
        found = self._folders.get((kind, key[:2]))
        if found is None:
            found = self._folders[kind, key[:2]] = self.root / kind / key[:2]
        return found

    def variants(self, kind: str, key: str) -> list[str]:
        """The lists of the records of a key, the newest first; an empty text for a record without a list."""
        shard = self._folder(kind, key)
        names = self._names(shard).get(key, [])
        if len(names) > 1:
            names = sorted(names, key=lambda name: _time(shard / file_name(key, name)), reverse=True)
        return names

    def _names(self, shard: Path) -> dict[str, list[str]]:
        """The lists of the records in a folder, by key; looked at again when the folder has changed."""
        try:
            changed = shard.stat()
            stamp, known = changed.st_mtime_ns, self._shards.get(shard)
            # a folder's time is coarse: what was written into it just now may not show
            if known is not None and known[0] == stamp and time.time() - changed.st_mtime > 1:
                return known[1]
            found: dict[str, list[str]] = {}
            for entry in shard.iterdir():
                if not entry.name.startswith("."):
                    key, _, manifest = entry.name.partition(".")
                    found.setdefault(key, []).append(manifest)
        except OSError:
            return {}
        self._shards[shard] = (stamp, found)
        return found

    def find(self, kind: str, key: str, manifest: str = "") -> tuple[Path, Record] | None:
        """The record of a job, checked byte for byte; None if there is none, or none that may be believed.

        The record comes without its arrays. A damaged file is removed, so that the job is done again.
        """
        path = self.path(kind, key, manifest)
        try:
            return path, read_record(path, arrays=False)
        except (FileNotFoundError, NotADirectoryError, ForeignError):
            return None
        except OSError as error:
            raise BenchError(
                f"cannot read {path}: {error.strerror}; see to the folder, or give another --store"
            ) from error
        except DamagedError:
            with suppress(OSError):
                path.unlink(missing_ok=True)
            return None

    def manifests(self, name: str) -> Manifests | None:
        """A list by its name; None where there is none that may be believed."""
        if not name:
            return Manifests()
        if name not in self._manifests:
            self._manifests[name] = self._read_manifests(name)
        return self._manifests[name]

    def _read_manifests(self, name: str) -> Manifests | None:
        try:
            found = Manifests.from_json(json.loads(_read_regular(self._manifest_path(name))))
        except (OSError, ValueError, RecursionError, ManifestError):
            return None
        return found if found.id == name else None

    def keep(self, manifests: Manifests) -> str:
        """Store a list; what names it."""
        name = manifests.id
        if name and self.manifests(name) is None:
            write_whole(self._manifest_path(name), as_bytes(manifests))
            self._manifests[name] = manifests
        return name

    def _manifest_path(self, name: str) -> Path:
        return self.root / _MANIFESTS / name[:2] / name


def _time(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def pack(meta: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], header: Mapping[str, Any] | None = None) -> bytes:
    """A record in safetensors format; `meta` gains the arrays' `content`, unless it brings one."""
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    facts = {"content": arrays_digest(contiguous) if "content" not in meta else meta["content"], **meta}
    metadata = {"bench": json.dumps(facts, sort_keys=True)}
    if header is not None:
        metadata["header"] = json.dumps({**header, "content": facts["content"]}, sort_keys=True)
    return safetensors.numpy.save(contiguous, metadata=metadata)


def unpack(payload: bytes, *, arrays: bool = True) -> Record:
    """The record in bytes of safetensors format, with its arrays or without; `DamagedError` when they are not."""
    try:
        size = int.from_bytes(payload[:8], "little")
        metadata = json.loads(payload[8 : 8 + size])["__metadata__"]
        meta = json.loads(metadata["bench"])
        header = _header(json.loads(metadata["header"])) if "header" in metadata else None
        return Record(meta, safetensors.numpy.load(payload) if arrays else {}, header)
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedError(f"not a record: {error}") from error


def _header(stored: Mapping[str, Any]) -> Header:
    """A header of the right format whose facts are texts; a ValueError otherwise."""
    found = Header(**stored)
    facts = (found.kind, found.key, found.content, found.manifest)
    if type(found.format) is not int or found.format != FORMAT or not all(type(fact) is str for fact in facts):
        raise ValueError(f"expected a header of format {FORMAT}, found {dict(stored)}")
    return found


def write_record(
    folder: Path,
    meta: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
    *,
    kind: str,
    key: str,
    manifest: str = "",
) -> Header:
    """Write a record into a folder by temporary file and rename; its header.

    Raises:
        BenchError: The disk is full or the folder cannot be written.
    """
    header = {"format": FORMAT, "kind": kind, "key": key, "manifest": manifest}
    payload = pack(meta, arrays, header)
    write_whole(
        folder / file_name(key, manifest), _MAGIC + hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload
    )
    size = int.from_bytes(payload[:8], "little")
    return _header(json.loads(json.loads(payload[8 : 8 + size])["__metadata__"]["header"]))


def read_record(path: Path, *, arrays: bool = True) -> Record:
    """Read a record, of the store or of the zoo (whose index holds what a record of the store says of itself).

    Args:
        path: Its file.
        arrays: Whether to read its arrays, too; every byte is checked either way.

    Raises:
        FileNotFoundError: There is none; what is no regular file counts as none.
        DamagedError: Its bytes are not those that were written.
        ForeignError: It is a record of another job, put here under this one's name.
    """
    content = _read_regular(path)
    if path.suffix == ".safetensors":
        return unpack(content, arrays=arrays)
    payload = content[_HEADER:]
    expected = _MAGIC + hashlib.sha256(payload).hexdigest().encode() + b"\n"
    if content[:_HEADER] != expected:
        raise DamagedError(f"{path} is damaged: its bytes do not have the checksum they were written with")
    record = unpack(payload, arrays=arrays)
    header = record.header
    if header is None:
        raise DamagedError(f"{path} is a record without a header; an earlier version of bench wrote it")
    if header.file_name != path.name or header.kind != path.parts[-3]:
        raise ForeignError(
            f"{path} holds the record {header.kind}/{header.file_name}, and not the one it is named after"
        )
    return record


def _read_regular(path: Path) -> bytes:
    """The bytes of a regular file; a FIFO would make a run wait for ever."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except OSError as error:
        raise _as_missing(error, path) from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise FileNotFoundError(2, "expected a regular file", str(path))
    with os.fdopen(handle, "rb") as file:
        return file.read()


def _as_missing(error: OSError, path: Path) -> OSError:
    """A loop of links, a socket or a folder in place of a record is no record."""
    loops = isinstance(error, IsADirectoryError) or error.errno in _NO_RECORD
    return FileNotFoundError(2, "expected a regular file", str(path)) if loops else error


_NO_RECORD = (6, 40)
"""ENXIO, of sockets, and ELOOP."""


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there complete or not at all, even after a crash.

    Raises:
        BenchError: The disk is full or the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=PARTIAL)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise BenchError(
            f"cannot write {path} ({len(content):,} bytes): {error.strerror}; free some space or choose another "
            f"folder with --store and --out, then run the same command again: nothing finished is lost"
        ) from error


def all_records(root: Path) -> Iterator[Path]:
    """The files of all records of a store."""
    for kind in sorted(root.iterdir()):
        if kind.is_dir() and kind.name not in (_MANIFESTS, "checkpoint"):
            yield from (path for path in sorted(kind.glob("??/*")) if path.is_file() and not path.name.startswith("."))
