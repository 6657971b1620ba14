"""The unfinished training of a stack: one file, taken up as the whole stack, and believed only where it belongs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from bench.engine import perform
from bench.engine.store import Header, read_record, write_record
from bench.engine.unfinished import drop
from bench.engine.work.checkpoint import FileCheckpoint
from bench.errors import BenchError
from bench.runner import Run
from bench.training import together
from bench.training.packing import PackedGan

if TYPE_CHECKING:
    from tests.conftest import Workshop

# other sizes of the stack give other last digits here
SUITE = """
suite: stack
data:
  ring: {source: ring8, samples: 200}
models:
  gan:
    kind: generator
    arch: {gan-grid: {width: 12}}
    trials: 3
    train: {recipe: packed-gan, data: ring, iterations: 12, batch_size: 32, width: 12}
"""
ITERATIONS = 12


def with_trials(count: int) -> str:
    return SUITE.replace("trials: 3", f"trials: {count}")


def contents(run: Run) -> list[str]:
    assert run.exit_code == 0, {job: state.message for job, state in run.states.items()}
    return [state.content for job, state in run.states.items() if job.startswith("train/")]


def kept(workshop: Workshop) -> list[Path]:
    return [path for path in (workshop.folder / "store" / "checkpoint").rglob("*") if path.is_file()]


@pytest.fixture
def killed(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Run a suite that is stopped where an iteration begins, or before a training's record is written."""
    monkeypatch.setattr(together, "SAVED_EVERY", -1.0)

    def stopped(text: str = SUITE, *, iteration: int = -1, record: int = -1) -> None:
        draw, write, records = PackedGan.draw, perform.write_record, [0]

        def drawn(self: PackedGan, number: int) -> Any:
            if number == iteration:
                raise KeyboardInterrupt
            return draw(self, number)

        def written(folder: Path, *rest: Any, kind: str, **named: str) -> Header:
            if kind == "train":
                if records[0] == record:
                    raise KeyboardInterrupt
                records[0] += 1
            return write(folder, *rest, kind=kind, **named)

        with monkeypatch.context() as patch:
            patch.setattr(PackedGan, "draw", drawn)
            patch.setattr(perform, "write_record", written)
            assert workshop.run(text).interrupted
        assert len(kept(workshop)) == 1, "of all trials, one file"

    return stopped


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The iterations that are made from here on, of any training."""
    seen: list[int] = []
    own = PackedGan.draw

    def noted(self: PackedGan, iteration: int) -> Any:
        seen.append(iteration)
        return own(self, iteration)

    monkeypatch.setattr(PackedGan, "draw", noted)
    return seen


@pytest.mark.parametrize("trials", [1, 3])
@pytest.mark.parametrize("iteration", [1, 7])
def test_a_killed_training_goes_on_where_it_was(workshop: Workshop, killed, drawn, trials, iteration) -> None:
    whole = contents(workshop.run(with_trials(trials), store="whole", out="whole"))
    killed(with_trials(trials), iteration=iteration)
    drawn.clear()
    assert contents(workshop.run(with_trials(trials))) == whole
    assert drawn == list(range(iteration, ITERATIONS))
    assert not kept(workshop), "what is finished needs no checkpoint"


@pytest.mark.parametrize("record", [0, 1, 2])
def test_records_that_a_kill_left_unwritten_come_from_the_whole_stack(
    workshop: Workshop, killed, drawn, record
) -> None:
    whole = contents(workshop.run(SUITE, store="whole", out="whole"))
    killed(record=record)
    drawn.clear()
    run = workshop.run(SUITE)
    assert [run.states[f"train/gan/{trial}"].origin for trial in range(3)] == ["store"] * record + ["done"] * (
        3 - record
    )
    assert contents(run) == whole
    assert not drawn, "the end was kept"
    assert not kept(workshop)


def test_a_training_whose_record_cannot_be_written_is_not_lost(workshop: Workshop, monkeypatch, drawn) -> None:
    own = perform.write_record

    def full(folder: Path, *rest: Any, kind: str, **named: str) -> Header:
        if kind == "train":
            raise BenchError("no space left")
        return own(folder, *rest, kind=kind, **named)

    with monkeypatch.context() as patched:
        patched.setattr(perform, "write_record", full)
        assert workshop.run(SUITE).exit_code == 3
    assert len(kept(workshop)) == 1
    drawn.clear()
    assert workshop.run(SUITE).exit_code == 0
    assert not drawn


@pytest.mark.parametrize("trials", [1, 2, 4])
def test_other_trials_begin_anew(workshop: Workshop, killed, drawn, trials) -> None:
    whole = contents(workshop.run(with_trials(trials), store="whole", out="whole"))
    killed(iteration=7)
    drawn.clear()
    assert contents(workshop.run(with_trials(trials))) == whole
    assert drawn == list(range(ITERATIONS))
    assert contents(workshop.run(SUITE))[:trials] == whole[:3], "what is finished stays"
    assert not kept(workshop)


def test_fewer_trials_leave_the_checkpoint_of_more(workshop: Workshop, killed, drawn) -> None:
    """Of its last trial there is no record yet."""
    whole = contents(workshop.run(SUITE, store="whole", out="whole"))
    killed(iteration=7)
    two = contents(workshop.run(with_trials(2)))
    drawn.clear()
    assert contents(workshop.run(SUITE)) == [*two, whole[2]]
    assert drawn == list(range(7, ITERATIONS))


@pytest.mark.parametrize("spoiled", [0, 1, 2])
@pytest.mark.parametrize("record", [0, 1])
def test_a_trial_that_diverged_fails_again_and_alone(workshop: Workshop, monkeypatch, killed, spoiled, record) -> None:
    own = PackedGan.__init__

    def with_nan(self: PackedGan, generators: Any, *rest: Any, **options: Any) -> None:
        own(self, generators, *rest, **options)
        if len(generators) > 1:
            next(iter(self.generator.parameters())).data[spoiled] = np.nan

    monkeypatch.setattr(PackedGan, "__init__", with_nan)
    whole = workshop.run(SUITE, store="whole", out="whole")
    killed(record=record)
    run = workshop.run(SUITE)
    assert run.exit_code == whole.exit_code == 3
    for job, state in whole.states.items():
        assert (run.states[job].status, run.states[job].message) == (state.status, state.message)
        assert run.states[job].content == state.content
    assert "training diverged: at iteration 1 some weights" in run.states[f"train/gan/{spoiled}"].message
    assert not kept(workshop)


def test_a_single_training_that_diverged_leaves_nothing(workshop: Workshop) -> None:
    text = with_trials(1).replace("width: 12}\n", "width: 12, learning_rate: 1e37}\n")
    assert text.count("1e37") == 1
    run = workshop.run(text)
    assert "training diverged" in run.states["train/gan/0"].message
    assert not kept(workshop)


def output(folder: Path, name: str) -> Path:
    return folder / "store" / "train" / name[:2] / name


def begun(folder: Path, names: list[str], trials: list[int] | None = None) -> FileCheckpoint:
    """The unfinished training of some trials, as a run finds it."""
    return FileCheckpoint([output(folder, name) for name in names], trials or list(range(len(names))))


def test_a_checkpoint_is_read_as_it_was_written(tmp_path: Path) -> None:
    first = begun(tmp_path, ["aa1", "bb2", "cc3"])
    assert first.read() is None
    first.write({"iteration": 3}, {"weights": torch.arange(3.0)})
    assert first.path == tmp_path / "store" / "checkpoint" / "cc" / "cc3"
    header = read_record(first.path).header
    assert header is not None
    assert (header.kind, header.key, header.manifest, header.format) == ("checkpoint", "cc3", "", 1)
    for names, trials in ((["aa1", "bb2", "cc3"], [0, 1, 2]), (["aa1", "cc3"], [0, 2]), (["cc3"], [2])):
        again = begun(tmp_path, names, trials)
        assert list(again.stack.items()) == [("aa1", 0), ("bb2", 1), ("cc3", 2)]
        found = again.read()
        assert found is not None
        assert found[0] == {"iteration": 3}
        assert torch.equal(found[1]["weights"], torch.arange(3.0))
    drop(output(tmp_path, "cc3"))
    assert begun(tmp_path, ["cc3"]).read() is None


@pytest.mark.parametrize(
    ("names", "trials"),
    [
        (["aa1", "dd4", "cc3"], [0, 1, 2]),
        (["aa1", "bb2", "cc3", "dd4"], [0, 1, 2, 3]),
        (["aa1", "bb2"], [0, 1]),
        (["cc3"], [1]),
        (["aa1", "bb2", "cc3"], [0, 2, 1]),
    ],
    ids=["another", "more", "fewer", "another trial", "other trials"],
)
def test_a_checkpoint_of_other_trials_is_none(tmp_path: Path, names, trials) -> None:
    begun(tmp_path, ["aa1", "bb2", "cc3"]).write({}, {})
    other = begun(tmp_path, names, trials)
    assert other.read() is None
    assert list(other.stack) == names


def swap(one: Path, other: Path) -> None:
    one.rename(aside := one.with_name("aside"))
    other.rename(one)
    aside.rename(other)


@pytest.mark.parametrize(
    "misplace",
    [shutil.copyfile, Path.rename, lambda source, target: target.hardlink_to(source), swap,
     lambda source, target: target.symlink_to(source)],
    ids=["copied", "renamed", "hard-linked", "swapped", "linked"],
)  # fmt: skip
def test_a_checkpoint_of_another_training_is_none(tmp_path: Path, misplace) -> None:
    mine, other = begun(tmp_path, ["aa1", "bb2"]), begun(tmp_path, ["cc3", "dd4"])
    mine.write({"iteration": 1}, {})
    other.write({"iteration": 9}, {})
    if misplace is not swap:
        mine.path.unlink()
    misplace(other.path, mine.path)
    begin = begun(tmp_path, ["aa1", "bb2"])
    assert begin.read() is None
    begin.write({"iteration": 2}, {})
    found = begun(tmp_path, ["aa1", "bb2"]).read()
    assert found is not None
    assert found[0] == {"iteration": 2}
    if misplace not in (swap, Path.rename):
        found = begun(tmp_path, ["cc3", "dd4"]).read()
        assert found is not None
        assert found[0] == {"iteration": 9}, "what was linked is not written to"


def test_a_record_is_no_checkpoint(tmp_path: Path) -> None:
    path, weights = begun(tmp_path, ["aa1"]).path, {"weights": np.ones(3)}
    facts = {"stack": [["aa1", 0]], "facts": {"iteration": 3}}
    headers = [
        {"kind": "train", "key": "aa1"},
        {"kind": "checkpoint", "key": "aa2"},
        {"kind": "checkpoint", "key": "aa1", "manifest": "bb1"},
        {"kind": "checkpoint", "key": "aa1"},
    ]
    for header in headers:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_record(tmp_path, facts, weights, **header)
        shutil.copyfile(tmp_path / f"{header['key']}{'.bb1' * ('manifest' in header)}", path)
        assert (begun(tmp_path, ["aa1"]).read() is None) == (header is not headers[-1])


@pytest.mark.parametrize("facts", [{}, {"facts": {"iteration": 3}}, {"stack": [], "facts": {}}, {"stack": 5}], ids=repr)
def test_a_checkpoint_of_another_shape_is_none(tmp_path: Path, facts: Mapping[str, Any]) -> None:
    path = begun(tmp_path, ["aa1"]).path
    write_record(path.parent, facts, {"weights": np.ones(3)}, kind="checkpoint", key="aa1")
    assert begun(tmp_path, ["aa1"]).read() is None


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"?")


def loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("spoil", [damage, lambda path: path.write_bytes(b""), loop, pipe])
def test_what_is_no_checkpoint_is_replaced(workshop: Workshop, killed, drawn, spoil) -> None:
    whole = contents(workshop.run(SUITE, store="whole", out="whole"))
    killed(iteration=7)
    spoil(*kept(workshop))
    drawn.clear()
    assert contents(workshop.run(SUITE)) == whole
    assert drawn == list(range(ITERATIONS))
    assert not kept(workshop)


def test_a_folder_in_its_place_costs_that_training(workshop: Workshop, killed, drawn) -> None:
    other = SUITE[SUITE.index("  gan:") :].replace("gan:", "other:", 1).replace("iterations: 12", "iterations: 3")
    killed(iteration=7)
    folder(*kept(workshop))
    drawn.clear()
    run = workshop.run(SUITE + other)
    states = [run.states[f"train/gan/{trial}"] for trial in range(3)]
    assert [state.status for state in states] == ["failed"] * 3
    assert all("is a folder, and the unfinished training is to be kept there" in state.message for state in states)
    assert {run.states[f"train/other/{trial}"].status for trial in range(3)} == {"ok"}
    assert drawn == [0, 1, 2], "it is said before anything is trained"
