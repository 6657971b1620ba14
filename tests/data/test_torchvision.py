"""Data set classes of torchvision, without a network."""

from __future__ import annotations

import gzip
import socket
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torchvision import datasets

from bench.data import imported, load_named
from bench.errors import DataError


def idx(values: np.ndarray) -> bytes:
    """Bytes in MNIST's own format."""
    head = bytes([0, 0, 8, values.ndim]) + b"".join(size.to_bytes(4, "big") for size in values.shape)
    return gzip.compress(head + values.astype(np.uint8).tobytes())


def test_a_class_whose_files_are_there(tmp_path: Path) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    pixels = np.arange(3 * 28 * 28).reshape(3, 28, 28) % 251
    for part in ("train", "t10k"):
        for name, values in {"images-idx3": pixels, "labels-idx1": np.array([4, 0, 9])}.items():
            path = raw / f"{part}-{name}-ubyte"
            path.with_suffix(".gz").write_bytes(idx(values))
            path.write_bytes(gzip.decompress(idx(values)))
    samples = load_named("torchvision", dataset="MNIST", root=str(tmp_path), args={"train": False}, download=False)
    assert samples.x.shape == (3, 1, 28, 28)
    assert (samples.x[:, 0] == pixels).all()
    assert samples.y is not None
    assert samples.y.tolist() == [4, 0, 9]


def test_a_class_without_files() -> None:
    samples = load_named("torchvision", dataset="FakeData", args={"size": 5, "image_size": [3, 8, 8]}, take=4)
    assert samples.x.shape == (4, 3, 8, 8)
    assert samples.x.dtype == np.uint8


@pytest.mark.usefixtures("workshop")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dataset": "cifar10"}, "torchvision has no data set 'cifar10'; did you mean 'CIFAR10'"),
        ({"dataset": "CIFR10"}, "did you mean 'CIFAR10'"),
        ({"dataset": "__name__"}, "torchvision has no data set '__name__'; known are"),
        ({"dataset": "CIFAR10", "args": {"trian": True}}, "takes no argument 'trian'; did you mean 'train'"),
        ({"dataset": "QMNIST", "args": {"compta": True}}, "takes no argument 'compta'; did you mean 'compat'"),
        ({"dataset": "EMNIST"}, "cannot be made with args {}: .*'split'"),
        ({"dataset": "FakeData", "args": {"size": 0}}, "FakeData is empty"),
        ({"dataset": "CIFAR10", "download": False}, "not to be had: no usable copy under .*/empty .RuntimeError"),
        ({"dataset": "ImageFolder"}, "not to be had: no usable copy under .*/empty .FileNotFoundError"),
    ],
)
def test_what_is_wrong_is_said(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_named("torchvision", **{"root": "empty", **options})


@pytest.mark.usefixtures("workshop")
def test_without_a_network_the_wait_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that takes the connection and then says nothing is given up on after `PATIENCE`."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setattr(datasets.CIFAR10, "url", f"http://127.0.0.1:{port}/cifar-10-python.tar.gz")
        monkeypatch.setattr(imported, "PATIENCE", 0.3)
        for name in ("http_proxy", "HTTP_PROXY"):
            monkeypatch.delenv(name, raising=False)
        started = time.monotonic()
        with pytest.raises(DataError, match=r"could not be downloaded .*timed out.* Put its files there"):
            load_named("torchvision", dataset="CIFAR10", root="empty")
        assert time.monotonic() - started < 5
    assert socket.getdefaulttimeout() is None


def test_samples_that_are_no_images_or_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    picture, wide = Image.new("L", (4, 4)), Image.new("RGB", (5, 4))

    def gives(*items: tuple[Any, Any]) -> None:
        class Odd:
            def __init__(self) -> None: ...

            def __len__(self) -> int:
                return len(items)

            def __getitem__(self, index: int) -> tuple[Any, Any]:
                return items[index]

        monkeypatch.setattr(datasets, "FakeData", Odd)

    gives((picture, np.int64(3)), (picture, True))
    samples = load_named("torchvision", dataset="FakeData")
    assert samples.y is not None
    assert samples.y.tolist() == [3, 1]
    for items, message in [
        ([(picture, "cat")], "gives Image and str; expected an image and a class number"),
        ([(np.zeros(3), 1)], "gives ndarray and int"),
        ([(picture, 0), (wide, 1)], "gives images of several sizes"),
    ]:
        gives(*items)
        with pytest.raises(DataError, match=message):
            load_named("torchvision", dataset="FakeData")
