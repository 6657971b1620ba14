"""Data sets that Python code makes: a function of yours, or a class of torchvision.

Their samples are not known before the code has run, so a job runs it once and keeps what it gave.
"""

from __future__ import annotations

import inspect
import operator
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data.catalogue import Imported, Torchvision
from bench.data.samples import Samples, as_inputs, as_labels
from bench.errors import DataError, did_you_mean
from bench.manifest.component import label
from bench.manifest.recorder import RECORDER
from bench.manifest.running import user_code

PATIENCE = 20.0
"""Seconds that a server may keep silent during a download."""


def materialised(source: str, options: Imported | Torchvision) -> Samples:
    """All samples of a source that needs running, before `skip` and `take`."""
    if isinstance(options, Torchvision):
        with RECORDER.component(label("data", f"torchvision.datasets:{options.dataset}")):
            return torchvision_dataset(options)
    return imported_dataset(source, options)


def imported_dataset(name: str, options: Imported) -> Samples:
    """Call `package.module:callable`: it returns `(x, y)`, or `(x, y, ids)`, or a mapping with those keys.

    `x` has shape (n, ...), floats in the declared range or uint8; `y` shape (n,), whole numbers, or None. Arrays
    and tensors will do.
    """
    result = user_code("data", name)(**options.args)
    if isinstance(result, Mapping):
        parts = (result.get("x"), result.get("y"), result.get("ids"))
    elif isinstance(result, tuple) and len(result) in (2, 3):
        parts = (*result, None)[:3]
    else:
        raise DataError(
            f"'{name}' returned a {type(result).__name__}; expected (x, y), (x, y, ids) or a mapping with those keys"
        )
    x, y, ids = parts
    if x is None:
        raise DataError(f"'{name}' returned no inputs under the key 'x'")
    inputs = as_inputs(_array(x, "x", name), name=name)
    names = tuple(str(word) for word in ids) if ids is not None else tuple(f"{i:06d}" for i in range(len(inputs)))
    if len(names) != len(inputs) or len(set(names)) != len(names):
        raise DataError(
            f"'{name}': expected one id a sample, each different, found {len(set(names))} different ids "
            f"for {len(inputs)} samples"
        )
    return Samples(inputs, None if y is None else as_labels(_array(y, "y", name), name=name), names)


def _array(values: Any, part: str, name: str) -> NDArray[np.generic]:
    """An array from an array, a tensor on any device, or nested lists of one shape."""
    try:
        return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
    except (ValueError, TypeError) as error:
        raise DataError(f"'{name}' returned `{part}` that is no array of one shape: {error}") from error


def torchvision_dataset(options: Torchvision) -> Samples:
    """All samples of a `torchvision.datasets` class, as uint8 images (n, channels, height, width).

    Raises:
        DataError: No such class, files missing and not to be downloaded, or samples that are not images of
            one size with a class each.
    """
    from torchvision import datasets

    known = [name for name in datasets.__all__ if name != "wrap_dataset_for_transforms_v2"]
    if options.dataset not in known:
        spelled = [name for name in known if name.lower() == options.dataset.lower()]
        hint = f"; did you mean '{spelled[0]}'?" if spelled else did_you_mean(options.dataset, known)
        raise DataError(f"torchvision has no data set '{options.dataset}'{hint}")
    dataset = _opened(getattr(datasets, options.dataset), options)
    images, labels = [], []
    for index in range(len(dataset)):
        image, label = dataset[index][:2]
        pixels, number = _pixels(image), _whole(label)
        if pixels is None or number is None:
            raise DataError(
                f"torchvision's {options.dataset} gives {type(image).__name__} and {type(label).__name__}; "
                f"expected an image and a class number"
            )
        images.append(pixels)
        labels.append(number)
    if not images:
        raise DataError(f"torchvision's {options.dataset} is empty")
    if len({image.shape for image in images}) > 1:
        raise DataError(f"torchvision's {options.dataset} gives images of several sizes; expected one size")
    ids = tuple(f"{index:06d}" for index in range(len(images)))
    return Samples(np.stack(images), np.array(labels, np.int64), ids)


def _opened(factory: Callable[..., Any], options: Torchvision) -> Any:
    """The data set, from its files or downloaded."""
    arguments: dict[str, Any] = dict(options.args)
    parameters = _parameters(factory)
    unknown = [key for key in arguments if key not in parameters]
    if unknown:
        hint = did_you_mean(unknown[0], parameters)
        raise DataError(f"torchvision's {options.dataset} takes no argument '{unknown[0]}'{hint}")
    if "root" in parameters:
        arguments.setdefault("root", options.root)
    if "download" in parameters:
        arguments.setdefault("download", options.download)
    try:
        with _patience(PATIENCE):
            return factory(**arguments)
    except TypeError as error:
        raise DataError(f"torchvision's {options.dataset} cannot be made with args {options.args}: {error}") from error
    except Exception as error:
        tried = ", and it could not be downloaded" if arguments.get("download") else ""
        root = Path(arguments.get("root", options.root)).resolve()
        raise DataError(
            f"torchvision's {options.dataset} is not to be had: no usable copy under {root}{tried} "
            f"({type(error).__name__}: {error}). Put its files there as torchvision lays them out, or point `root` at "
            f"a folder that has them"
        ) from error


def _parameters(factory: Any) -> set[str]:
    """Names of the arguments of a class: its own and, where it passes `**kwargs` on, those of its bases."""
    names: set[str] = set()
    for owner in factory.__mro__[:-1]:
        found = inspect.signature(owner.__init__).parameters.values()
        names |= {parameter.name for parameter in found if parameter.kind is not parameter.VAR_KEYWORD}
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in found):
            break
    return names - {"self"}


@contextmanager
def _patience(seconds: float) -> Iterator[None]:
    """Let no connection of the block wait longer than this: without a network, a job must not hang for minutes."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _pixels(image: Any) -> NDArray[np.uint8] | None:
    """A PIL image as uint8 (channels, height, width); None when it is something else."""
    if not hasattr(image, "convert"):
        return None
    pixels = np.asarray(image if image.mode in ("L", "RGB") else image.convert("RGB"), np.uint8)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _whole(label: Any) -> int | None:
    """A class number from an integer of Python, NumPy or torch; None when it is something else."""
    try:
        return operator.index(label)
    except TypeError:
        return None
