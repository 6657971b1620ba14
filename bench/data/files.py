"""Files of the user's: whether they are there, and what names their content."""

from __future__ import annotations

from pathlib import Path

from bench.errors import DataError
from bench.manifest.digests import CACHE, bytes_digest


def is_file(path: Path) -> bool:
    """Whether there is a file that can be seen; a path the system cannot even look at has none."""
    try:
        return path.is_file()
    except OSError:
        return False


def is_folder(path: Path) -> bool:
    """Whether there is a folder that can be seen."""
    try:
        return path.is_dir()
    except OSError:
        return False


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, shortened to 32 hexadecimal digits; reused while the file's status is the same.

    Raises:
        DataError: It cannot be read.
    """
    found = CACHE.get("file", str(path.absolute()), bytes_digest)
    if found is not None:
        return found
    try:
        return bytes_digest(str(path))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
