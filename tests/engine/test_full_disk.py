"""A disk that is full: a sentence, exit code 3, and nothing finished is lost."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bench.engine import store
from bench.engine.execute import Journal
from bench.errors import BenchError

if TYPE_CHECKING:
    from tests.conftest import Workshop


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB, where this may be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("only root may mount a file system; the tests with a simulated full disk say the same")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_store_costs_the_results_that_do_not_fit(toy: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    fsync, records = os.fsync, []

    def full_after_two(handle: int) -> None:
        place = Path(f"/proc/self/fd/{handle}").readlink()
        if toy.folder / "store" in place.parents:
            if len(records) == 2:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if place.parts[-3] in ("build", "attack", "verify"):  # and no list
                records.append(place)
        fsync(handle)

    with monkeypatch.context() as patch:
        patch.setattr(store.os, "fsync", full_after_two)
        run = toy.run()
    assert run.exit_code == 3
    assert [state.status for state in run.states.values()].count("ok") == 2
    failed = [row for row in run.rows if row.status != "ok"]
    assert failed
    for row in failed:
        assert "cannot write" in row.message
        assert "No space left on device; free some space or choose another folder" in row.message
    assert not [path for path in (toy.folder / "store").rglob("*") if path.name.startswith(store.PARTIAL)]
    again = toy.run()
    assert again.exit_code == 0
    assert [state.origin for state in again.states.values()].count("store") == 2


def test_a_full_run_folder_ends_the_run(toy: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    note, calls = Journal.note, []

    def full_after_three(self: Journal, event: str, job: str, **facts: object) -> None:
        calls.append(event)
        if len(calls) > 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        note(self, event, job, **facts)

    message = "the run cannot go on: No space left on device; .* nothing finished is lost"
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "note", full_after_three)
        with pytest.raises(BenchError, match=message):
            toy.run()
    again = toy.run()
    assert again.exit_code == 0
    assert "store" in [state.origin for state in again.states.values()]


def test_a_store_on_a_small_disk(toy: Workshop, small_disk: Path) -> None:
    """Each of the five records, and each list, takes at least a page of 4 kB; there is room for five pages."""
    (small_disk / "filler").write_bytes(bytes(45_000))
    words = ("run", str(toy.suite()), "--store", str(small_disk), "--out", "out", "--executor", "inline")
    done = toy.shell(*words)
    assert done.returncode == 3, done.stderr
    assert "No space left on device" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    kept = {path: path.read_bytes() for path in small_disk.rglob("*") if path.is_file() and path.name != "filler"}
    records = list(store.all_records(small_disk))
    assert 0 < len(records) < 5
    kept = {path: content for path, content in kept.items() if path.parent != small_disk}  # but digests of files
    assert set(records) < set(kept)
    (small_disk / "filler").unlink()
    again = toy.shell(*words)
    assert again.returncode == 0, again.stdout
    assert f"{len(records)} of 5 jobs were done before" in again.stdout
    assert all(path.read_bytes() == content for path, content in kept.items())


@pytest.mark.parametrize(("room", "executor"), [(0, "inline"), (4096, "inline"), (12_288, "local"), (24_576, "inline")])
def test_a_run_folder_on_a_small_disk(toy: Workshop, small_disk: Path, room: int, executor: str) -> None:
    """Whatever the file is that no longer fits: the lock, run.json, the journal, the log, the tables or the page."""
    out = small_disk / "out"
    out.mkdir()
    (small_disk / "filler").write_bytes(bytes(65_536 - 4096 - room))
    done = toy.shell("run", str(toy.suite()), "--store", "store", "--out", str(out), "--executor", executor)
    assert done.returncode in (2, 3), done.stdout
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert toy.run(out="other").exit_code == 0
