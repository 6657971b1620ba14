"""The run folder: what it holds, who may use it, and what is said when it cannot be used."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bench.engine.lock import locked
from bench.engine.store import PARTIAL
from bench.errors import UsageError

if TYPE_CHECKING:
    from tests.conftest import Workshop

HOLDER = """
import sys, time
from pathlib import Path
from bench.engine.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_two_processes_on_one_folder(toy: Workshop) -> None:
    toy.run()
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, "out"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        before = {path: path.read_bytes() for path in Path("out").iterdir() if path.is_file()}
        second = toy.shell("run", "suite.yaml", "--out", "out", "--store", "store")
        assert second.returncode == 2
        assert second.stderr == (
            f"bench: out is in use by another bench run (process {holder.pid}); wait for it, or give another --out\n"
        )
        with pytest.raises(UsageError, match="in use by another bench run"):
            toy.run()
        assert {path: path.read_bytes() for path in before} == before
        holder.kill()  # the lock goes with the process
    assert toy.run().exit_code == 0


def test_the_lock_is_let_go(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), locked(tmp_path):
        raise RuntimeError
    with locked(tmp_path), pytest.raises(UsageError), locked(tmp_path):
        pass


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"notes.txt": "mine"}, "out holds other files and no run; give an empty or new folder to --out"),
        ({"run.json": '{"suite": "other"}'}, "out holds a run of the suite 'other', not 'toy'; give another --out"),
        ({"run.json": '{"sui'}, "out/run.json is not that of a run; remove it if it is damaged, or give another --out"),
        ({"run.json": "[1]"}, "out/run.json is not that of a run"),
        ({"run.json": "{}"}, "out/run.json is not that of a run"),
        ({"run.json/file": ""}, "out/run.json is not that of a run"),
    ],
)
def test_a_folder_of_something_else(toy: Workshop, content: dict[str, str], message: str) -> None:
    for name, text in content.items():
        path = toy.folder / "out" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    before = sorted(toy.folder.joinpath("out").rglob("*"))
    with pytest.raises(UsageError, match=message.replace("{", r"\{")):
        toy.run(out="out")
    assert sorted(toy.folder.joinpath("out").rglob("*")) == before


def test_what_a_killed_run_leaves_is_no_obstacle(toy: Workshop) -> None:
    """It may have died before its first file was whole."""
    out = toy.folder / "out"
    out.mkdir()
    (out / ".lock").write_text("123")
    (out / f"{PARTIAL}abc").write_text("{")
    assert toy.run().exit_code == 0


@pytest.mark.parametrize("option", ["out", "store"])
@pytest.mark.parametrize("place", ["file", "file/below", "/proc/nowhere", "x" * 300])
def test_folders_that_cannot_be(toy: Workshop, option: str, place: str) -> None:
    (toy.folder / "file").write_text("")
    with pytest.raises(UsageError, match=rf"cannot make the (run folder|store) {place}|{place} is a file"):
        toy.run(**{option: place})


def test_both_spellings_of_paths(toy: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    run = toy.run(out="text", store="kept")
    assert run.folder == Path("text")
    monkeypatch.setenv("BENCH_STORE", "kept")
    assert {state.origin for state in toy.run(store=None).states.values()} == {"store"}


def test_what_run_json_tells(toy: Workshop) -> None:
    np.savez("s.npz", samples=np.zeros((4, 2)))
    text = toy.suite().read_text().replace("models:\n", "models:\n  theirs: {kind: generator, samples: s.npz}\n", 1)
    run = toy.run(text, "seed=3")
    record: dict[str, Any] = json.loads((run.folder / "run.json").read_text())
    assert record["state"] == "ended"
    assert record["exit_code"] == 0
    assert record["seed"] == 3
    assert record["overrides"] == ["seed=3"]
    assert record["text"] == text
    assert record["device"] == "cpu"
    assert record["packages"]["torch"]
    assert record["data"]["toy"]["count"] == 40
    assert record["data"]["toy"]["fingerprint"].startswith("npz/")
    assert list(record["files"]) == ["s.npz"]
    assert {job["status"] for job in record["jobs"].values()} == {"ok"}
    assert all((toy.folder / "store").rglob(job["key"]) for job in record["jobs"].values())
    assert (run.folder / record["store"]).resolve() == toy.folder / "store"
