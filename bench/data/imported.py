"""Data sets that Python code makes: a function of yours, or a class of torchvision.

Their samples are not known before the code has run, so a job runs it once and keeps what it gave.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bench.catalogue import import_by_name
from bench.data.catalogue import Imported, Torchvision
from bench.data.samples import Samples, as_labels
from bench.errors import DataError, did_you_mean


def imported_dataset(name: str, options: Imported) -> Samples:
    """Call `package.module:callable`: it returns `(x, y)`, or `(x, y, ids)`, or a mapping with those keys.

    `x` has shape (n, ...), floats in the declared range or uint8; `y` shape (n,), whole numbers, or None. Arrays
    and tensors will do.
    """
    result = import_by_name(name)(**options.args)
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
    inputs = np.asarray(x)
    names = tuple(str(word) for word in ids) if ids is not None else tuple(f"{i:06d}" for i in range(len(inputs)))
    if len(names) != len(inputs) or len(set(names)) != len(names):
        raise DataError(f"'{name}': expected one id a sample, each different, found {len(set(names))} ids")
    return Samples(inputs, None if y is None else as_labels(np.asarray(y), name=name), names)


def torchvision_dataset(options: Torchvision) -> Samples:
    """All samples of a `torchvision.datasets` class, as uint8 images (n, channels, height, width).

    Raises:
        DataError: No such class, files missing and not to be downloaded, or samples that are not images of
            one size with a class each.
    """
    from torchvision import datasets

    known = [name for name in datasets.__all__ if name != "wrap_dataset_for_transforms_v2"]
    if options.dataset not in known:
        raise DataError(f"torchvision has no data set '{options.dataset}'{did_you_mean(options.dataset, known)}")
    factory = getattr(datasets, options.dataset)
    arguments: dict[str, Any] = dict(options.args)
    parameters = inspect.signature(factory.__init__).parameters
    if "root" in parameters:
        arguments.setdefault("root", options.root)
    if "download" in parameters:
        arguments.setdefault("download", options.download)
    try:
        dataset = factory(**arguments)
    except Exception as error:
        raise DataError(
            f"torchvision's {options.dataset} is not to be had: no usable copy under {Path(options.root).resolve()}, "
            f"and it could not be downloaded ({type(error).__name__}: {error}). Put its files there as torchvision "
            f"lays them out, or point `root` at a folder that has them"
        ) from error
    images, labels = [], []
    for index in range(len(dataset)):
        image, label = dataset[index][:2]
        if not hasattr(image, "convert") or not isinstance(label, int):
            raise DataError(
                f"torchvision's {options.dataset} gives {type(image).__name__} and {type(label).__name__}; "
                f"expected an image and a class number"
            )
        pixels = np.asarray(image if image.mode in ("L", "RGB") else image.convert("RGB"), np.uint8)
        images.append(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))
        labels.append(label)
    if len({image.shape for image in images}) > 1:
        raise DataError(f"torchvision's {options.dataset} gives images of several sizes; expected one size")
    ids = tuple(f"{index:06d}" for index in range(len(images)))
    return Samples(np.stack(images), np.array(labels, np.int64), ids)
