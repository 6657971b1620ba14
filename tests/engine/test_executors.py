"""One contract for every executor, and what only a worker process can do."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bench.engine.executors import EXECUTORS, Executor, LocalExecutor, make_executor
from bench.engine.store import Header, Store, read_record
from bench.engine.task import Result, Task
from bench.errors import BenchError

if TYPE_CHECKING:
    from tests.conftest import Workshop

MODULE = """
import ctypes
import os
import signal
import subprocess
import sys
import time

import numpy as np


def data(seed=0):
    return np.random.default_rng(seed).random((4, 3)), np.zeros(4, int)

def global_draw():
    import torch
    return np.concatenate([np.random.rand(2, 2), torch.rand(2, 2).numpy()]), np.zeros(4, int)

def raising(): raise KeyError("gone")
def exiting(): sys.exit(4)
def reading(): return input()
def printing():
    print('{"id": "task-0", "status": "ok"}', flush=True)
    os.write(1, b'{"share": 2}\\n')
    subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)
    return data()

def segfault(): ctypes.string_at(0)
def killed(): os.kill(os.getpid(), signal.SIGKILL)
def leaving(): os._exit(7)
def silent(): time.sleep(60)
def orphaning():
    "Dies while a child of its own still holds its pipes."
    if os.fork() == 0:
        time.sleep(20)
        os._exit(0)
    os._exit(7)
"""


@pytest.fixture
def source(workshop: Workshop) -> Workshop:
    workshop.module("source", MODULE)
    return workshop


@pytest.fixture(params=EXECUTORS)
def executor(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Executor]:
    with make_executor(request.param, device="cpu", batch_size=7, log=tmp_path / "log") as made:
        yield made


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Executor]:
    with LocalExecutor("cpu", 7, tmp_path / "log") as made:
        yield made


def task(folder: Path, name: str, number: int = 0, *, timeout: float | None = None, **args: Any) -> Task:
    work = {"source": f"source:{name}", "options": {"args": args}}
    place = {"store": str(folder / "store"), "hidden": [str(folder / "store")]}
    return Task(f"task-{number}", "data", work, {}, str(output(folder, number)), timeout, place=place)


def output(folder: Path, number: int) -> Path:
    """Where the record of a task goes, but for the name of its list."""
    return folder / "store" / "data" / "ab" / f"ab{number}"


def run(executor: Executor, *tasks: Task) -> dict[str, Result]:
    results = list(executor.run(tasks, lambda name, share: None))  # noqa: ARG005
    assert sorted(result.id for result in results) == sorted(each.id for each in tasks)
    return {result.id: result for result in results}


def test_every_task_has_one_result_and_a_record(source: Workshop, executor: Executor) -> None:
    tasks = [task(source.folder, "data", number, seed=number) for number in range(4)]
    results = run(executor, *tasks)
    for number, each in enumerate(tasks):
        result = results[each.id]
        assert (result.status, result.message, result.details) == ("ok", "", "")
        record = read_record(Path(f"{each.output}.{result.manifest}"))
        assert record.content == result.content
        assert record.header == Header("data", f"ab{number}", result.content, result.manifest)
        used = Store(source.folder / "store").manifests(result.manifest)
        assert used is not None
        assert set(used.components) == {"data source:data"}
        assert (record.arrays["x"] == np.random.default_rng(number).random((4, 3))).all()


def test_results_do_not_depend_on_order_or_company(source: Workshop, executor: Executor) -> None:
    """Not even those of code that draws from the global generators."""
    first = run(executor, *(task(source.folder, "data", number, seed=number) for number in range(3)))
    second = run(executor, *(task(source.folder, "data", number, seed=number) for number in (2, 0, 1)))
    assert {name: result.content for name, result in first.items()} == {
        name: result.content for name, result in second.items()
    }
    draws = [run(executor, task(source.folder, "global_draw", number))[f"task-{number}"] for number in (5, 6)]
    assert draws[0].content == draws[1].content


def test_a_task_that_fails_costs_itself_only(source: Workshop, executor: Executor) -> None:
    messages = {
        "raising": "KeyError: 'gone' (raised at source.py:",
        "exiting": "SystemExit: 4 (raised at source.py:",
        "missing": "module 'source' has no 'missing'",
        "data": "",
    }
    results = run(executor, *(task(source.folder, name, number) for number, name in enumerate(messages)))
    for number, (name, message) in enumerate(messages.items()):
        result = results[f"task-{number}"]
        assert result.status == ("failed" if message else "ok"), name
        assert message in result.message
        assert ("Traceback" in result.details) == bool(message)
        written = list((source.folder / "store").glob(f"data/ab/ab{number}*"))
        assert len(written) == (not message)


def test_no_tasks_no_results(executor: Executor) -> None:
    assert run(executor) == {}


def test_a_task_that_takes_its_process_down(source: Workshop, local: Executor) -> None:
    messages = {
        "segfault": "the worker process died: SIGSEGV; what it printed last is in ",
        "killed": "the worker process died: SIGKILL (often: out of memory); ",
        "leaving": "the worker process died: exit code 7; ",
        "orphaning": "the worker process died: exit code 7; ",
        "data": "",
    }
    results = run(local, *(task(source.folder, name, number) for number, name in enumerate(messages)))
    for number, (name, message) in enumerate(messages.items()):
        assert results[f"task-{number}"].status == ("lost" if message else "ok"), name
        assert results[f"task-{number}"].message.startswith(message)
        assert results[f"task-{number}"].seconds < 10


def test_a_task_that_takes_too_long(source: Workshop, local: Executor) -> None:
    """The time to start the worker is not the task's."""
    tasks = [task(source.folder, "silent", 0, timeout=0.5), task(source.folder, "data", 1, timeout=0.5)]
    results = run(local, *tasks)
    assert results["task-0"].status == "timeout"
    assert results["task-0"].message == "took longer than 0.5 s; raise `timeout:` or ask for less"
    assert 0.5 <= results["task-0"].seconds < 2
    assert results["task-1"].status == "ok"


def test_what_is_printed_or_read_does_not_touch_the_pipes(source: Workshop, local: Executor) -> None:
    results = run(local, task(source.folder, "printing", 0), task(source.folder, "reading", 1))
    assert results["task-0"].status == "ok"
    assert results["task-1"].message.startswith("EOFError: ")
    assert "from a child" in (source.folder / "log").read_text()


def test_a_worker_that_cannot_start(source: Workshop, local: Executor) -> None:
    (source.folder / "numpy.py").write_text("raise ImportError('no numpy here')")
    results = run(local, task(source.folder, "data", 0))
    assert results["task-0"].status == "lost"
    assert "exit code 1" in results["task-0"].message
    assert "no numpy here" in (source.folder / "log").read_text()


def test_an_unknown_executor(toy: Workshop) -> None:
    with pytest.raises(BenchError, match="unknown executor 'lokal'; did you mean 'local'"):
        toy.run(executor="lokal")


def workers(process: int) -> list[int]:
    """The worker processes that a process has started."""
    path = Path(f"/proc/{process}/task/{process}/children")
    found = []
    for child in path.read_text().split() if path.exists() else []:
        with suppress(FileNotFoundError, ProcessLookupError):  # it may end at any time
            if b"bench.engine.worker" in (Path("/proc") / child / "cmdline").read_bytes():
                found.append(int(child))
    return found


def wait_for(condition: Any, seconds: float = 30) -> Any:
    """What a condition gives once it gives something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise TimeoutError


SLOW = """
suite: slow
data:
  slow: {source: "source:silent"}
models:
  lin: {kind: classifier, load: "toy:linear"}
evaluations:
  wb: {kind: robustness, models: [lin], data: slow, threat: {norm: linf, epsilon: 0.1}, attacks: [fgsm]}
"""


@pytest.mark.parametrize("started", [True, False], ids=["working", "starting"])
def test_no_worker_outlives_its_run(source: Workshop, started: bool) -> None:
    """`kill -9` of the run alone: no process goes on computing."""
    source.toy()
    source.suite(SLOW)
    run = subprocess.Popen(source.command("run", "suite.yaml", "--store", "s", "--out", "o"), cwd=source.folder)
    journal = source.folder / "o" / "journal.jsonl"
    try:
        (worker,) = wait_for(lambda: workers(run.pid))
        if started:
            wait_for(lambda: journal.exists() and "queued" in journal.read_text())
            time.sleep(2)
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait()
    wait_for(lambda: not Path(f"/proc/{worker}").exists() or " Z " in Path(f"/proc/{worker}/stat").read_text(), 10)


def test_a_lost_job_is_a_lost_row(source: Workshop) -> None:
    source.toy()
    source.module("deadly", "import os, signal\ndef attack(*args, **options): os.kill(os.getpid(), signal.SIGSEGV)\n")
    text = source.suite().read_text().replace("[fgsm,", '["deadly:attack",')
    run = source.run(text, executor="local")
    rows = source.rows(run)
    assert run.exit_code == 3
    assert rows["wb/lin/attack/linf-0.1/robust_accuracy"].status == "lost"
    assert "SIGSEGV" in rows["wb/lin/attack/linf-0.1/robust_accuracy"].message
    assert rows["wb/lin/pgd/linf-0.1/robust_accuracy"].status == "ok"


def test_a_late_job_is_a_timeout_row(source: Workshop) -> None:
    source.toy()
    source.module("late", "import time\ndef attack(*args, **options): time.sleep(60)\n")
    text = (
        source.suite()
        .read_text()
        .replace("[fgsm,", '["late:attack",')
        .replace("data: toy\n", "data: toy\n    timeout: 1s\n")
    )
    run = source.run(text, executor="local")
    rows = source.rows(run)
    assert run.exit_code == 3
    assert rows["wb/lin/attack/linf-0.1/robust_accuracy"].status == "timeout"
    assert rows["wb/lin/pgd/linf-0.1/robust_accuracy"].status == "ok"
    record = json.loads((run.folder / "run.json").read_text())
    assert record["jobs"]["attack/wb/lin/0/attack/0"]["status"] == "timeout"
