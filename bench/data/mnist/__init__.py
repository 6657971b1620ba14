"""MNIST: the four files, and how to read them."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.data.catalogue import Mnist as MnistOptions
from bench.data.catalogue import MnistClasses as MnistClassesOptions
from bench.data.samples import Samples
from bench.errors import DataError

_FOLDER = Path(__file__).parent
_FILES = {"train": "train", "test": "t10k"}


class Mnist:
    """The MNIST source. Images have shape (1, 28, 28), uint8."""

    def fingerprint(self, options: MnistOptions) -> str:
        """The content of the two files of the split."""
        return f"mnist/{_digest(options.split)}"

    def count(self, options: MnistOptions) -> int:
        """60,000 training images or 10,000 test images."""
        return 60_000 if options.split == "train" else 10_000

    def load(self, options: MnistOptions) -> Samples:
        """All images of the split, in the files' order."""
        return _load(options.split)


class MnistClasses:
    """The images of some of MNIST's digits, with classes 0, 1, ... in the order in which the digits are named.

    Images keep the names they have in MNIST.

    >>> from bench.data import load_named
    >>> samples = load_named("mnist-classes", classes=[7, 1], split="test", take=3)
    >>> samples.y.tolist(), samples.ids
    ([0, 1, 1], ('test-00000', 'test-00002', 'test-00005'))
    """

    def fingerprint(self, options: MnistClassesOptions) -> str:
        """The content of the two files of the split, and the digits."""
        return f"mnist/{_digest(options.split)}/{options.classes}"

    def count(self, options: MnistClassesOptions) -> int:
        """How many images show one of the digits."""
        return int(np.isin(_labels(options.split), options.classes).sum())

    def load(self, options: MnistClassesOptions) -> Samples:
        """The images that show one of the digits, in the files' order."""
        whole = _load(options.split)
        digits = _labels(options.split)
        rows = np.flatnonzero(np.isin(digits, options.classes))
        classes = np.full(10, -1, np.int64)
        classes[options.classes] = np.arange(len(options.classes))
        return Samples(whole.x[rows], classes[digits[rows]], tuple(whole.ids[row] for row in rows.tolist()))


def _path(split: str, part: str) -> Path:
    path = _FOLDER / f"{_FILES[split]}-{part}-ubyte.gz"
    if not path.exists():
        raise DataError(f"MNIST ships with the package, but {path} is missing; install the package again")
    return path


@cache
def _digest(split: str) -> str:
    parts = (_path(split, part).read_bytes() for part in ("images-idx3", "labels-idx1"))
    return hashlib.sha256(b"".join(parts)).hexdigest()[:32]


@cache
def _load(split: str) -> Samples:
    images = _read(_path(split, "images-idx3"), magic=2051, header=16).reshape(-1, 1, 28, 28)
    return Samples(images, _labels(split), tuple(f"{split}-{index:05d}" for index in range(len(images))))


@cache
def _labels(split: str) -> NDArray[np.int64]:
    return _read(_path(split, "labels-idx1"), magic=2049, header=8).astype(np.int64)


def _read(path: Path, *, magic: int, header: int) -> NDArray[np.uint8]:
    """The bytes after the header of an IDX file."""
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is damaged ({error}); install the package again") from error
    if int.from_bytes(content[:4], "big") != magic:
        raise DataError(f"{path} is not an IDX file of the expected kind; install the package again")
    return np.frombuffer(content, np.uint8, offset=header)
