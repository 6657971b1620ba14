"""Arrays of a user's in an .npz file."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.data import describe, load_named
from bench.data.catalogue import Npz
from bench.errors import DataError

X = np.linspace(0, 1, 24, dtype=np.float32).reshape(6, 4)
Y = np.array([0, 1, 2, 0, 1, 2])


def saved(folder: Path, **arrays: Any) -> str:
    path = folder / "a.npz"
    np.savez(path, **arrays)
    return str(path)


def test_arrays_come_as_they_are(tmp_path: Path) -> None:
    samples = load_named("npz", path=saved(tmp_path, x=X, y=Y))
    assert (samples.inputs() == X).all()
    assert samples.y is not None
    assert samples.y.tolist() == Y.tolist()
    assert len(set(samples.ids)) == 6


def test_arrays_can_have_other_names_and_no_labels(tmp_path: Path) -> None:
    samples = load_named("npz", path=saved(tmp_path, images=X), x="images", y=None)
    assert samples.y is None
    assert len(samples) == 6


def test_uint8_is_scaled_to_one(tmp_path: Path) -> None:
    path = saved(tmp_path, x=np.array([[0, 51], [102, 255]], np.uint8), y=np.array([0, 1]))
    assert load_named("npz", path=path).inputs().tolist() == pytest.approx(np.array([[0, 0.2], [0.4, 1]]))


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_floats_become_float32(tmp_path: Path, dtype: type) -> None:
    assert load_named("npz", path=saved(tmp_path, x=X.astype(dtype), y=Y)).inputs().dtype == np.float32


BAD = [
    ({"x": X}, {}, "has no array 'y'; it holds x"),
    ({"x": X, "y": Y}, {"x": "imgs"}, "has no array 'imgs'; it holds x, y"),
    ({"x": X.astype(int), "y": Y}, {}, "expected inputs as floats or uint8, found int64"),
    ({"x": X, "y": Y.astype(float)}, {}, "expected whole numbers as classes, found an array of float64"),
    ({"x": X, "y": Y[:4]}, {}, r"found 6 samples and labels of shape \(4,\)"),
    ({"x": X, "y": np.eye(3, dtype=int)[Y]}, {}, r"labels of shape \(6, 3\)"),
    ({"x": X, "y": Y - 1}, {}, "expected classes from 0 up, found -1"),
    ({"x": X * 255, "y": Y}, {}, r"expected values in \[0, 1\], found \[0, 255\]"),
    ({"x": np.where(X > 0.5, np.nan, X), "y": Y}, {}, "12 values are NaN or infinite"),
    ({"x": X[:, 0], "y": Y}, {}, r"expected inputs of shape \(n, ...\), found an array of shape \(6,\)"),
    ({"x": np.float32(1), "y": Y}, {}, r"found an array of shape \(\)"),
    ({"x": X[:0], "y": Y[:0]}, {}, "none of its 0 samples|expected at least one sample"),
    ({"x": X[:, :0], "y": Y}, {}, r"expected at least one sample, found an array of shape \(6, 0\)"),
    ({"x": (X * 255).astype(np.uint8), "y": Y}, {"range": (0, 255)}, "uint8 inputs are divided by 255"),
]


@pytest.mark.parametrize(("arrays", "options", "message"), BAD)
def test_what_is_wrong_is_said(tmp_path: Path, arrays: dict[str, Any], options: dict[str, Any], message: str) -> None:
    path = saved(tmp_path, **arrays)
    with pytest.raises(DataError, match=message):
        load_named("npz", path=path, **options)


def test_a_declared_range_admits_other_values(tmp_path: Path) -> None:
    path = saved(tmp_path, x=X * 2 - 1, y=Y)
    assert load_named("npz", path=path, range=(-1, 1)).inputs().min() == -1


def test_the_range_is_part_of_what_the_samples_are(tmp_path: Path) -> None:
    """The box limits every attack: outcomes in one box must not be found for another."""
    path = saved(tmp_path, x=X, y=Y)
    infos = [describe("d", "npz", Npz(path=path, range=box)) for box in ((0, 1), (0, 2), (-1, 1))]
    assert len({info.fingerprint for info in infos}) == 3
    assert (infos[2].low, infos[2].high) == (-1, 1)


def test_the_content_decides_the_fingerprint(tmp_path: Path) -> None:
    path = saved(tmp_path, x=X, y=Y)
    before = describe("d", "npz", Npz(path=path)).fingerprint
    np.savez(path, x=X, y=Y[::-1])
    assert describe("d", "npz", Npz(path=path)).fingerprint != before


@pytest.mark.parametrize("load", [False, True], ids=["planning", "loading"])
@pytest.mark.parametrize("kind", ["missing", "folder", "npy", "text", "cut", "flipped", "empty", "long"])
def test_files_that_are_no_archives(tmp_path: Path, kind: str, load: bool) -> None:
    path = tmp_path / ("x" * 300 if kind == "long" else "") / "a.npz"
    if kind == "folder":
        path.mkdir()
    elif kind == "npy":
        with path.open("wb") as file:
            np.save(file, X)
    elif kind == "text":
        path.write_text("not an archive")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind not in ("missing", "long"):
        np.savez_compressed(path, x=X, y=Y)
        content = bytearray(path.read_bytes())
        if kind == "flipped":
            content[60] ^= 0xFF
        path.write_bytes(content[: len(content) // 2] if kind == "cut" else content)
    with pytest.raises(DataError, match=r"a\.npz"):
        load_named("npz", path=str(path)) if load else describe("d", "npz", Npz(path=str(path)))


def test_pickled_objects_are_refused_and_do_not_run(tmp_path: Path) -> None:
    touched = tmp_path / "touched"

    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (touched,)

    evil = np.empty(2, object)
    evil[:] = [Evil(), Evil()]
    path = saved(tmp_path, x=evil, y=Y[:2])
    with pytest.raises(DataError, match="without pickled objects"):
        load_named("npz", path=path)
    (tmp_path / "b.npz").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(DataError, match=r"not an \.npz file"):
        load_named("npz", path=str(tmp_path / "b.npz"))
    assert not touched.exists()
