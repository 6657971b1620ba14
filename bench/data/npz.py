"""Arrays in an .npz file."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.data.catalogue import Npz as NpzOptions
from bench.data.samples import Samples, as_labels
from bench.errors import DataError


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, shortened to 32 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]


def read_array(path: Path, name: str | None) -> NDArray[np.generic]:
    """One array of an .npz file, without unpickling anything; its only one, or `samples`, when `name` is None.

    Raises:
        DataError: No such file or array, not an .npz file, or an array of Python objects.
    """
    if not path.is_file():
        raise DataError(f"expected an .npz file at {path}, found none (paths start at {Path.cwd()})")
    try:
        with np.load(path, allow_pickle=False) as archive:
            if name is None:
                name = archive.files[0] if len(archive.files) == 1 else "samples"
            if name not in archive:
                raise DataError(f"{path} has no array '{name}'; it holds {', '.join(archive.files) or 'nothing'}")
            return np.asarray(archive[name])
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} cannot be read as arrays without pickled objects: {error}") from error


class Npz:
    """The source of arrays in an .npz file."""

    def fingerprint(self, options: NpzOptions) -> str:
        """The file's content and the names of the arrays."""
        if not Path(options.path).is_file():
            raise DataError(f"expected an .npz file at {options.path}, found none (paths start at {Path.cwd()})")
        return f"npz/{file_digest(Path(options.path))}/{options.x}/{options.y}"

    def count(self, options: NpzOptions) -> int:
        """The length of the array of inputs."""
        return len(np.atleast_1d(read_array(Path(options.path), options.x)))

    def load(self, options: NpzOptions) -> Samples:
        """The arrays; ids are positions."""
        x = read_array(Path(options.path), options.x)
        if x.dtype != np.uint8 and not np.issubdtype(x.dtype, np.floating):
            raise DataError(f"{options.path}: expected '{options.x}' as floats or uint8, found {x.dtype}")
        y = None
        if options.y is not None:
            y = as_labels(read_array(Path(options.path), options.y), name=options.path)
        return Samples(x, y, tuple(f"{index:06d}" for index in range(len(x))))
