"""The content-addressed store: one file a finished job, written whole or not at all, never believed when damaged."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from bench.engine.keys import arrays_digest
from bench.errors import BenchError

_MAGIC = b"bench-record-1 "
PARTIAL = ".partial-"
"""How the name of a file begins that is being written, or was when its process was killed."""
_HEADER = len(_MAGIC) + 64 + 1


@dataclass(frozen=True)
class Record:
    """What a job left.

    Attributes:
        meta: Small facts, as JSON.
        arrays: Named arrays.
    """

    meta: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]

    @property
    def content(self) -> str:
        """Names the arrays; equal results have equal contents, whatever machine and minute they come from."""
        return str(self.meta["content"])


class DamagedError(BenchError):
    """A stored file whose bytes are not those that were written."""


class Store:
    """Finished jobs below one folder, by kind and key.

    Layout: ``<root>/<kind>/<first two digits>/<key>``. A file is a line with the SHA-256 of the rest, and the rest
    is in safetensors format with the facts as metadata.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, kind: str, key: str) -> Path:
        """Where the record of a job is, or would be."""
        return self.root / kind / key[:2] / key

    def find(self, kind: str, key: str) -> tuple[Path, Record] | None:
        """The record of a job, checked byte for byte; None if there is none or it is damaged.

        A damaged file is removed, so that the job is done again.
        """
        path = self.path(kind, key)
        try:
            return path, read_record(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise BenchError(
                f"cannot read {path}: {error.strerror}; see to the folder, or give another --store"
            ) from error
        except DamagedError:
            path.unlink(missing_ok=True)
            return None


def pack(meta: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """A record in safetensors format; `meta` gains the arrays' `content`."""
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    facts = {**meta, "content": arrays_digest(contiguous)}
    return safetensors.numpy.save(contiguous, metadata={"bench": json.dumps(facts, sort_keys=True)})


def unpack(payload: bytes) -> Record:
    """The record in bytes of safetensors format; `DamagedError` when they are not."""
    try:
        size = int.from_bytes(payload[:8], "little")
        header = json.loads(payload[8 : 8 + size])
        meta = json.loads(header["__metadata__"]["bench"])
        return Record(meta, safetensors.numpy.load(payload))
    except (SafetensorError, ValueError, KeyError) as error:
        raise DamagedError(f"not a record: {error}") from error


def write_record(path: Path, meta: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> str:
    """Write a record by temporary file and rename, and return its content name.

    Raises:
        BenchError: The disk is full or the folder cannot be written.
    """
    payload = pack(meta, arrays)
    write_whole(path, _MAGIC + hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload)
    return unpack_meta(payload)["content"]  # type: ignore[no-any-return]


def unpack_meta(payload: bytes) -> dict[str, Any]:
    """The facts of a packed record."""
    size = int.from_bytes(payload[:8], "little")
    return json.loads(json.loads(payload[8 : 8 + size])["__metadata__"]["bench"])  # type: ignore[no-any-return]


def read_record(path: Path) -> Record:
    """Read a record, of the store or of the zoo (which has no checksum line; its index holds the checksum).

    Raises:
        FileNotFoundError: There is none.
        DamagedError: Its bytes are not those that were written.
    """
    content = path.read_bytes()
    if path.suffix == ".safetensors":
        return unpack(content)
    payload = content[_HEADER:]
    expected = _MAGIC + hashlib.sha256(payload).hexdigest().encode() + b"\n"
    if content[:_HEADER] != expected:
        raise DamagedError(f"{path} is damaged: its bytes do not have the checksum they were written with")
    return unpack(payload)


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
