"""The store of finished jobs."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.engine.store import DamagedError, Store, read_record, write_record, write_whole
from bench.errors import BenchError

ARRAYS = {
    "floats": np.linspace(-1, 1, 24, dtype=np.float32).reshape(2, 3, 4),
    "flags": np.array([True, False]),
    "bytes": np.arange(7, dtype=np.uint8),
    "scalar": np.array(5),
    "empty": np.zeros((0, 3)),
    "turned": np.arange(6).reshape(2, 3).T,
}
META = {"ids": ["a", "b\n"], "seconds": 0.5, "nested": {"x": [1, None]}}


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    content = write_record(tmp_path / "r", META, ARRAYS)
    record = read_record(tmp_path / "r")
    assert record.content == content
    assert {key: record.meta[key] for key in META} == META
    assert set(record.arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert record.arrays[name].dtype == array.dtype
        assert record.arrays[name].shape == array.shape
        assert (record.arrays[name] == array).all()


def test_the_content_names_the_arrays_and_nothing_else(tmp_path: Path) -> None:
    first = write_record(tmp_path / "a", {"seconds": 1}, {"x": np.arange(4), "y": np.zeros(2)})
    assert write_record(tmp_path / "b", {"seconds": 2}, {"y": np.zeros(2), "x": np.arange(4)}) == first
    others = [
        {"x": np.arange(4), "y": np.ones(2)},
        {"x": np.arange(4), "z": np.zeros(2)},
        {"x": np.arange(4).reshape(2, 2), "y": np.zeros(2)},
        {"x": np.arange(4, dtype=np.int32), "y": np.zeros(2)},
        {"x": np.arange(4)},
    ]
    assert len({first, *(write_record(tmp_path / "c", {}, arrays) for arrays in others)}) == 6


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), change=st.integers(1, 255), cut=st.booleans())
def test_any_changed_byte_is_noticed(tmp_path: Path, place: float, change: int, cut: bool) -> None:
    store = Store(tmp_path)
    path = store.path("attack", "abcdef")
    write_record(path, META, ARRAYS)
    content = bytearray(path.read_bytes())
    position = int(place * len(content))
    if cut:
        del content[position:]
    else:
        content[position] ^= change
    path.write_bytes(content)
    with pytest.raises(DamagedError):
        read_record(path)
    assert store.find("attack", "abcdef") is None
    assert not path.exists(), "a damaged file is removed, so that the job is done again"


def test_what_is_not_there(tmp_path: Path) -> None:
    assert Store(tmp_path / "nowhere").find("attack", "abcdef") is None
    (tmp_path / "file").write_text("")
    assert Store(tmp_path / "file").find("attack", "abcdef") is None


def test_a_store_that_cannot_be_read(tmp_path: Path) -> None:
    Store(tmp_path).path("attack", "abcdef").mkdir(parents=True)
    with pytest.raises(BenchError, match=r"cannot read .*abcdef: Is a directory"):
        Store(tmp_path).find("attack", "abcdef")


@pytest.mark.parametrize("broken", ["fsync", "replace", "interrupt"])
def test_writing_is_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    path = tmp_path / "folder" / "file"
    write_whole(path, b"old")

    def full(*_: object) -> None:
        raise KeyboardInterrupt if broken == "interrupt" else OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if broken == "replace":
        monkeypatch.setattr(Path, "replace", full)
    else:
        monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(KeyboardInterrupt if broken == "interrupt" else BenchError):
        write_whole(path, b"new and longer")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]
