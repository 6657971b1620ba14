"""`kill -9` at random moments of a training of several trials: the weights are those of an undisturbed run."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bench.engine.store import PARTIAL, read_record

if TYPE_CHECKING:
    from tests.conftest import Workshop

# of widths at which other sizes of the stack give other last digits
SUITE = """
suite: killed
data:
  ring: {source: ring8, samples: 200}
models:
  gan:
    kind: generator
    arch: {gan-grid: {width: 12}}
    trials: 4
    train: {recipe: packed-gan, data: ring, iterations: 12, looks: 2, batch_size: 32, width: 12}
  alone:
    kind: generator
    arch: {gan-grid: {width: 12}}
    train: {recipe: gan, data: ring, iterations: 6, batch_size: 32, width: 12}
"""
KILLS = 60
LONGEST = 30
"""Steps of a process at the most, a step being the end of a write, of a rename or of a removal in the store."""
PARENT = """
import json, os, signal, sys, time
from pathlib import Path
import torch._dynamo
import bench.engine.perform, bench.engine.work.train, bench.report.page, bench.runner, bench.training.packing
from bench.training import together

together.SAVED_EVERY = 0.0
left = -1

def counted(function, where):
    def step(first, *rest, **options):
        global left
        place = str(where(first))
        try:
            return function(first, *rest, **options)
        finally:
            left -= "/store/" in place
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
    return step

os.fsync = counted(os.fsync, lambda handle: os.readlink(f"/proc/self/fd/{handle}"))
Path.replace = counted(Path.replace, lambda path: path)
Path.unlink = counted(Path.unlink, lambda path: path)
for line in sys.stdin:
    place, steps, seconds = json.loads(line)
    left = steps or -1
    child = os.fork()
    if child == 0:
        options = {"executor": "inline", "device": "cpu", "store": f"{place}/store", "out": f"{place}/out"}
        os._exit(bench.runner.run("suite.yaml", **options).exit_code)
    if seconds:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""Starts a run for each line: where, and after how many steps or seconds it is killed. Libraries are imported once."""

Start = Callable[[str, int, float], int]


@pytest.fixture
def start(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts a run of the suite; the exit code, or minus the signal."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    workshop.suite(SUITE)
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def started(place: str, steps: int = 0, seconds: float = 0.0) -> int:
        assert parent.stdin is not None
        assert parent.stdout is not None
        parent.stdin.write(json.dumps([place, steps, seconds]) + "\n")
        parent.stdin.flush()
        return int(parent.stdout.readline())

    yield started
    parent.communicate()
    assert parent.returncode == 0


def records(place: Path) -> Mapping[str, str]:
    """What the records of trainings hold, by their names."""
    found = (path for path in place.glob("store/train/*/*") if not path.name.startswith(PARTIAL))
    return {path.name: read_record(path).content for path in found}


def checkpoints(place: Path) -> list[Path]:
    """The checkpoints in a store; whole ones, as the beginning of a write is no checkpoint."""
    return [path for path in place.glob("store/checkpoint/*/*") if not path.name.startswith(PARTIAL)]


def test_killed_stacks_end_like_an_undisturbed_one(workshop: Workshop, start: Start) -> None:
    assert start("whole") == 0
    whole = records(workshop.folder / "whole")
    assert len(whole) == len(set(whole.values())) == 5
    choose = random.Random(5)  # noqa: S311 - chooses moments, not secrets
    kills = chains = amid = resumed = 0
    while kills < KILLS:
        place, code, chains = f"killed{chains}", -signal.SIGKILL, chains + 1
        while code == -signal.SIGKILL:
            resumed += bool(checkpoints(workshop.folder / place))
            timed = choose.random() < 0.2
            code = start(place, 0 if timed else choose.randint(1, LONGEST), choose.uniform(0.01, 0.3) if timed else 0.0)
            kills += code == -signal.SIGKILL
            written = len(records(workshop.folder / place))
            assert len(checkpoints(workshop.folder / place)) <= 2, "one a stack"
            amid += code == -signal.SIGKILL and 0 < written < 4
        assert code == 0
        assert records(workshop.folder / place) == whole
        assert not checkpoints(workshop.folder / place), "what is finished needs no checkpoint"
    print(
        f"\n{kills} kills in {chains} chains, {amid} between the records of a stack, {resumed} starts at a checkpoint"
    )
    assert resumed >= KILLS // 3


def test_a_kill_at_any_step_between_the_records(workshop: Workshop, start: Start) -> None:
    """Each step from the last checkpoint to the end of a stack of four, and one more kill after each."""
    assert start("whole") == 0
    whole = records(workshop.folder / "whole")
    seen = set()
    for number, steps in enumerate(range(22, 38)):
        place = workshop.folder / f"killed{number}"
        assert start(place.name, steps) == -signal.SIGKILL
        seen.add(len(records(place)))
        start(place.name, 2)
        assert start(place.name) == 0
        assert records(place) == whole
        assert not checkpoints(place)
    assert {0, 1, 2, 3, 4} <= seen
