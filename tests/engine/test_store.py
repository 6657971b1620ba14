"""The store of finished jobs."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.engine.store import (
    DamagedError,
    ForeignError,
    Header,
    Store,
    all_records,
    pack,
    read_record,
    write_record,
    write_whole,
)
from bench.errors import BenchError
from bench.manifest.entries import Manifest, Manifests

ARRAYS = {
    "floats": np.linspace(-1, 1, 24, dtype=np.float32).reshape(2, 3, 4),
    "flags": np.array([True, False]),
    "bytes": np.arange(7, dtype=np.uint8),
    "scalar": np.array(5),
    "empty": np.zeros((0, 3)),
    "turned": np.arange(6).reshape(2, 3).T,
}
META = {"ids": ["a", "b\n"], "seconds": 0.5, "nested": {"x": [1, None]}}
MANIFEST = "0123456789abcdef"


def write(
    root: Path, kind: str, key: str, manifest: str = "", meta: Any = META, arrays: Mapping[str, Any] = ARRAYS
) -> Path:
    """Write a record into a store; its file."""
    path = Store(root).path(kind, key, manifest)
    write_record(path.parent, meta, arrays, kind=kind, key=key, manifest=manifest)
    assert path.is_file()
    return path


def content(root: Path, meta: Any, arrays: Mapping[str, Any]) -> str:
    return read_record(write(root, "attack", "abcdef", meta=meta, arrays=arrays)).content


@pytest.mark.parametrize("manifest", ["", MANIFEST])
def test_a_record_comes_back_as_it_was(tmp_path: Path, manifest: str) -> None:
    folder = tmp_path / "attack" / "ab"
    header = write_record(folder, META, ARRAYS, kind="attack", key="abcdef", manifest=manifest)
    assert header == Header("attack", "abcdef", header.content, manifest, 1)
    path = folder / (f"abcdef.{manifest}" if manifest else "abcdef")
    assert path == Store(tmp_path).path("attack", "abcdef", manifest)
    record = read_record(path)
    assert record.header == header
    assert record.content == header.content
    assert {key: record.meta[key] for key in META} == META
    assert set(record.arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert record.arrays[name].dtype == array.dtype
        assert record.arrays[name].shape == array.shape
        assert (record.arrays[name] == array).all()
    found = Store(tmp_path).find("attack", "abcdef", manifest)
    assert found is not None
    assert (found[0], found[1].header) == (path, header)
    assert list(all_records(tmp_path)) == [path]


def test_the_content_names_the_arrays_and_nothing_else(tmp_path: Path) -> None:
    first = content(tmp_path, {"seconds": 1}, {"x": np.arange(4), "y": np.zeros(2)})
    assert content(tmp_path, {"seconds": 2}, {"y": np.zeros(2), "x": np.arange(4)}) == first
    elsewhere = write(tmp_path, "verify", "fedcba", MANIFEST, {}, {"x": np.arange(4), "y": np.zeros(2)})
    assert read_record(elsewhere).content == first
    others = [
        {"x": np.arange(4), "y": np.ones(2)},
        {"x": np.arange(4), "z": np.zeros(2)},
        {"x": np.arange(4).reshape(2, 2), "y": np.zeros(2)},
        {"x": np.arange(4, dtype=np.int32), "y": np.zeros(2)},
        {"x": np.arange(4)},
    ]
    assert len({first, *(content(tmp_path, {}, arrays) for arrays in others)}) == 6


def test_a_content_that_is_given_counts(tmp_path: Path) -> None:
    assert content(tmp_path, {"content": "given"}, ARRAYS) == "given"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), change=st.integers(1, 255), cut=st.booleans(), listed=st.booleans())
def test_any_changed_byte_is_noticed(tmp_path: Path, place: float, change: int, cut: bool, listed: bool) -> None:
    store, manifest = Store(tmp_path), MANIFEST if listed else ""
    path = write(tmp_path, "attack", "abcdef", manifest)
    stored = bytearray(path.read_bytes())
    position = int(place * len(stored))
    if cut:
        del stored[position:]
    else:
        stored[position] ^= change
    path.write_bytes(stored)
    with pytest.raises(DamagedError) as raised:
        read_record(path)
    assert not isinstance(raised.value, ForeignError), "a foreign record would be kept"
    assert store.find("attack", "abcdef", manifest) is None
    assert not path.exists(), "a damaged file is removed, so that the job is done again"


HEADER: Mapping[str, Any] = {"format": 1, "kind": "attack", "key": "abcdef", "manifest": MANIFEST}


def forge(path: Path, header: Any, meta: Mapping[str, Any] = META) -> None:
    """Write a record with a right checksum and any header."""
    payload = pack(meta, ARRAYS, header)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"bench-record-1 " + hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload)


def test_a_forged_record_with_the_right_header_is_one(tmp_path: Path) -> None:
    """Or the tests below would show nothing."""
    forge(Store(tmp_path).path("attack", "abcdef", MANIFEST), HEADER)
    assert Store(tmp_path).find("attack", "abcdef", MANIFEST) is not None


@pytest.mark.parametrize(
    "header",
    [
        None,
        {},
        {**HEADER, "format": 0},
        {**HEADER, "format": 2},
        {**HEADER, "format": "1"},
        {**HEADER, "format": None},
        {**HEADER, "kind": None},
        {**HEADER, "kind": ["attack"]},
        {**HEADER, "key": 5},
        {**HEADER, "key": {"abcdef": 1}},
        {**HEADER, "manifest": None},
        {**HEADER, "manifest": False},
        {key: value for key, value in HEADER.items() if key != "kind"},
        {key: value for key, value in HEADER.items() if key != "key"},
        {**HEADER, "more": "than there is"},
    ],
    ids=repr,
)
def test_a_header_that_is_none(tmp_path: Path, header: Any) -> None:
    store = Store(tmp_path)
    path = store.path("attack", "abcdef", MANIFEST)
    forge(path, header)
    with pytest.raises(DamagedError) as raised:
        read_record(path)
    assert not isinstance(raised.value, ForeignError)
    assert store.find("attack", "abcdef", MANIFEST) is None
    assert not path.exists()


@pytest.mark.parametrize("given", [None, 5, ["a"], {"a": "b"}], ids=repr)
def test_a_content_that_is_no_text(tmp_path: Path, given: Any) -> None:
    path = Store(tmp_path).path("attack", "abcdef", MANIFEST)
    forge(path, HEADER, {**META, "content": given})
    with pytest.raises(DamagedError):
        read_record(path)


@pytest.mark.parametrize(
    "header",
    [
        {**HEADER, "kind": "verify"},
        {**HEADER, "kind": ""},
        {**HEADER, "key": "abcdee"},
        {**HEADER, "key": ""},
        {**HEADER, "manifest": ""},
        {**HEADER, "manifest": MANIFEST[::-1]},
        {key: value for key, value in HEADER.items() if key != "manifest"},
    ],
    ids=repr,
)
def test_a_header_of_another_record(tmp_path: Path, header: Mapping[str, Any]) -> None:
    store = Store(tmp_path)
    path = store.path("attack", "abcdef", MANIFEST)
    forge(path, header)
    before = path.read_bytes()
    with pytest.raises(ForeignError, match="and not the one it is named after"):
        read_record(path)
    assert store.find("attack", "abcdef", MANIFEST) is None
    assert path.read_bytes() == before, "it is whole, and somebody's"


def swap(one: Path, other: Path) -> None:
    one.rename(aside := one.with_name("aside"))
    other.rename(one)
    aside.rename(other)


Misplace = Callable[[Path, Path], object]
MISPLACE: Mapping[str, Misplace] = {
    "copied": shutil.copyfile,
    "renamed": Path.rename,
    "hard-linked": lambda source, target: target.hardlink_to(source),
    "linked": lambda source, target: target.symlink_to(source),
    "swapped": swap,
}
OTHERS = {
    "another key": ("attack", "abcdee", MANIFEST),
    "another kind": ("verify", "abcdef", MANIFEST),
    "another list": ("attack", "abcdef", MANIFEST[::-1]),
    "no list": ("attack", "abcdef", ""),
}
OWN = ("attack", "abcdef", MANIFEST)


@pytest.mark.parametrize("how", MISPLACE)
@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("back", [False, True], ids=["there", "and back"])
def test_a_misplaced_record_is_not_believed_and_not_deleted(tmp_path: Path, how: str, other: str, back: bool) -> None:
    source, target = (OTHERS[other], OWN) if back else (OWN, OTHERS[other])
    store, there = Store(tmp_path), {place: write(tmp_path, *place, {"of": place}) for place in (source, target)}
    assert all(store.find(*place) is not None for place in there)
    if how != "swapped":
        there[target].unlink()
    MISPLACE[how](there[source], there[target])
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert store.find(*target) is None
    with pytest.raises(ForeignError):
        read_record(there[target])
    assert (store.find(*source) is not None) == (how not in ("swapped", "renamed")), "what is in its place is believed"
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    write(tmp_path, *target, {"of": "anew"})
    found = store.find(*target)
    assert found is not None
    assert found[1].meta["of"] == "anew"
    if how in ("copied", "hard-linked", "linked"):
        found = store.find(*source)
        assert found is not None
        assert found[1].meta["of"] == list(source), "what was linked is not written to"


def test_what_is_not_there(tmp_path: Path) -> None:
    assert Store(tmp_path / "nowhere").find("attack", "abcdef") is None
    assert Store(tmp_path / "nowhere").variants("attack", "abcdef") == []
    assert Store(tmp_path / "nowhere").manifests(MANIFEST) is None
    (tmp_path / "file").write_text("")
    assert Store(tmp_path / "file").find("attack", "abcdef") is None
    assert Store(tmp_path / "file").variants("attack", "abcdef") == []
    assert Store(tmp_path / "file").manifests(MANIFEST) is None


@pytest.mark.parametrize("code", [errno.EIO, errno.EACCES])
def test_a_store_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    path = write(tmp_path, "attack", "abcdef")

    def refused(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refused)
        with pytest.raises(BenchError, match=rf"cannot read .*abcdef: {os.strerror(code)}; see to the folder"):
            Store(tmp_path).find("attack", "abcdef")
    assert path.exists()


def test_a_name_that_no_disk_has(tmp_path: Path) -> None:
    (tmp_path / "attack" / "ab").mkdir(parents=True)
    with pytest.raises(BenchError, match=r"cannot read .*: File name too long"):
        Store(tmp_path).find("attack", "ab" * 200)


@pytest.fixture
def in_time() -> Iterator[None]:
    """Turns what would wait for ever into a failure."""

    def waits(number: int, frame: FrameType | None) -> None:
        raise AssertionError("still waiting after ten seconds")

    before = signal.signal(signal.SIGALRM, waits)
    signal.alarm(10)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def listen(path: Path) -> None:
    """Leave a socket; the names of sockets are short, so its folder is the working folder meanwhile."""
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def loop(path: Path) -> None:
    other = path.with_name("other")
    path.symlink_to(other)
    other.symlink_to(path)


NO_RECORDS: Mapping[str, Callable[[Path], object]] = {
    "fifo": os.mkfifo,
    "folder": Path.mkdir,
    "socket": listen,
    "dangling link": lambda path: path.symlink_to("nowhere"),
    "link loop": loop,
    "link to itself": lambda path: path.symlink_to(path.name),
    "link to a folder": lambda path: path.symlink_to("/"),
    "link to a device": lambda path: path.symlink_to("/dev/zero"),
}


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.usefixtures("in_time")
@pytest.mark.parametrize("what", NO_RECORDS)
def test_what_is_no_regular_file_is_no_record(tmp_path: Path, what: str) -> None:
    store = Store(tmp_path)
    path = store.path("attack", "abcdef", MANIFEST)
    path.parent.mkdir(parents=True)
    NO_RECORDS[what](path)
    before = open_files()
    with pytest.raises(FileNotFoundError):
        read_record(path)
    assert store.find("attack", "abcdef", MANIFEST) is None
    assert path.is_symlink() or path.exists(), "it is somebody's, and no damaged record"
    assert open_files() == before
    if what == "folder":
        with pytest.raises(BenchError, match=r"cannot write .*Is a directory"):
            write(tmp_path, "attack", "abcdef", MANIFEST)
    else:
        assert write(tmp_path, "attack", "abcdef", MANIFEST).is_symlink() is False
        assert store.find("attack", "abcdef", MANIFEST) is not None


USED = Manifests({"model toy:linear": Manifest({"python version": "3.11"}, ("draws",), declared=False)}, "run")


def manifest_path(store: Store, manifests: Manifests) -> Path:
    return store.root / "manifest" / manifests.id[:2] / manifests.id


def test_a_list_comes_back_as_it_was(tmp_path: Path) -> None:
    assert Store(tmp_path).keep(USED) == USED.id
    assert Store(tmp_path).manifests(USED.id) == USED
    assert Store(tmp_path).manifests("") == Manifests()
    assert Store(tmp_path).keep(Manifests()) == ""
    assert not list(all_records(tmp_path)), "a list is no record"


@pytest.mark.usefixtures("in_time")
@pytest.mark.parametrize("what", NO_RECORDS)
def test_what_is_no_regular_file_is_no_list(tmp_path: Path, what: str) -> None:
    path = manifest_path(Store(tmp_path), USED)
    path.parent.mkdir(parents=True)
    NO_RECORDS[what](path)
    before = open_files()
    store = Store(tmp_path)
    assert store.manifests(USED.id) is None
    assert open_files() == before
    if what != "folder":
        assert store.keep(USED) == USED.id
        assert Store(tmp_path).manifests(USED.id) == USED


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", "[" * 100_000, '{"format": 1, "run": "", "components": {}}'])
def test_a_damaged_list_is_none_and_is_written_again(tmp_path: Path, text: str) -> None:
    store = Store(tmp_path)
    write_whole(manifest_path(store, USED), text.encode())
    assert store.manifests(USED.id) is None
    assert store.keep(USED) == USED.id
    assert Store(tmp_path).manifests(USED.id) == USED


def test_a_list_under_the_name_of_another_is_not_believed(tmp_path: Path) -> None:
    store, other = Store(tmp_path), Manifests({"attack mine:attack": Manifest({"python version": "3.11"})})
    store.keep(USED)
    write_whole(manifest_path(store, other), manifest_path(store, USED).read_bytes())
    assert store.manifests(other.id) is None


def test_of_several_results_of_a_key_the_newest_comes_first(tmp_path: Path) -> None:
    store, order = Store(tmp_path), ["bb", "", "aa"]
    assert store.variants("attack", "abcdef") == []
    for age, manifest in enumerate(order):
        path = write(tmp_path, "attack", "abcdef", manifest)
        os.utime(path, (10_000 - age, 10_000 - age))
    write(tmp_path, "attack", "abcdee", "aa")
    write(tmp_path, "verify", "abcdef", "cc")
    (tmp_path / "attack" / "ab" / ".partial-abcdef.dd").write_text("")
    assert store.variants("attack", "abcdef") == order
    os.utime(store.path("attack", "abcdef", "aa"), (20_000, 20_000))
    assert store.variants("attack", "abcdef") == ["aa", "bb", ""]
    assert store.variants("attack", "abcdee") == ["aa"]
    store.path("attack", "abcdef", "aa").unlink()
    assert store.variants("attack", "abcdef") == ["bb", ""]


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
