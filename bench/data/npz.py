"""Arrays in an .npz file."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.data.catalogue import Npz as NpzOptions
from bench.data.files import file_digest, is_file
from bench.data.samples import Samples, as_inputs, as_labels
from bench.errors import DataError


def read_array(path: Path, name: str | None) -> NDArray[np.generic]:
    """One array of an .npz file, without unpickling anything; its only one, or `samples`, when `name` is None.

    Raises:
        DataError: No such file or array, not an .npz file, or an array of Python objects.
    """
    if not is_file(path):
        raise DataError(f"expected an .npz file at {path}, found none (paths start at {Path.cwd()})")
    if not zipfile.is_zipfile(path):
        raise DataError(f"{path} is not an .npz file (a zip of arrays, as numpy.savez writes); it may be cut short")
    try:
        with np.load(path, allow_pickle=False) as archive:
            if name is None:
                name = archive.files[0] if len(archive.files) == 1 else "samples"
            values = archive.get(name)
            found = ", ".join(archive.files) or "nothing"
    except Exception as error:  # a damaged archive fails in zipfile, zlib or NumPy, each in its own way
        raise DataError(f"{path} cannot be read as arrays without pickled objects: {error}") from error
    if not isinstance(values, np.ndarray):
        raise DataError(f"{path} has no array '{name}'; it holds {found}")
    return values


class Npz:
    """The source of arrays in an .npz file."""

    def fingerprint(self, options: NpzOptions) -> str:
        """The file's content and the names of the arrays."""
        path = Path(options.path)
        if not is_file(path):
            raise DataError(f"expected an .npz file at {path}, found none (paths start at {Path.cwd()})")
        return f"npz/{file_digest(path)}/{options.x}/{options.y}"

    def count(self, options: NpzOptions) -> int:
        """The length of the array of inputs."""
        return len(np.atleast_1d(read_array(Path(options.path), options.x)))

    def load(self, options: NpzOptions) -> Samples:
        """The arrays; ids are positions."""
        x = as_inputs(read_array(Path(options.path), options.x), name=options.path)
        y = None
        if options.y is not None:
            y = as_labels(read_array(Path(options.path), options.y), name=options.path)
        return Samples(x, y, tuple(f"{index:06d}" for index in range(len(x))))
