"""Where tasks are done: in this process, or in a worker process that can be timed out, killed and replaced."""

from __future__ import annotations

import collections
import dataclasses
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from bench.engine.task import Result, Task

Progress = Callable[[str, float], None]
"""Told a task's id and the share of it that is done."""

_PATIENCE = 1.0
"""Seconds of silence after which to see whether the worker still lives."""


class Executor(Protocol):
    """Does tasks. Results come in any order, one a task; nothing is raised for a task that fails."""

    def run(self, tasks: Sequence[Task], progress: Progress) -> Iterator[Result]:
        """Do the tasks, none of which needs another's result."""

    def __enter__(self) -> Self:
        """Get ready."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, at once and without waiting for a task."""


class InlineExecutor:
    """Does tasks in this process, one after another: for debuggers and notebooks. Timeouts are not enforced."""

    def __init__(self, device: str, batch_size: int) -> None:
        self._device, self._batch_size = device, batch_size

    def run(self, tasks: Sequence[Task], progress: Progress) -> Iterator[Result]:
        """Do the tasks in order."""
        from bench.engine.perform import perform

        for task in tasks:
            yield perform(task, self._place, lambda share, task=task: progress(task.id, share))  # type: ignore[misc]

    def __enter__(self) -> Self:
        """Make the workplace."""
        from bench.engine.work.workplace import Workplace

        self._place = Workplace(self._device, self._batch_size)
        return self

    def __exit__(self, *_: object) -> None:
        """Put back the modules that jobs had loaded anew."""
        self._place.worlds.leave()


class LocalExecutor:
    """Does tasks in one worker process on this machine.

    A task that takes too long, or takes its process down, costs that process only: the next task gets a new one. A
    process that ran users' components runs no others: the next task gets a new one then as well.

    Args:
        device: Device of the worker.
        batch_size: Largest batch.
        log: File that takes what the worker and the libraries in it print.
    """

    def __init__(self, device: str, batch_size: int, log: Path) -> None:
        self._arguments = [device, str(batch_size)]
        self._log = log
        self._worker: subprocess.Popen[bytes] | None = None
        self._buffer = b""
        self._world = ""

    def run(self, tasks: Sequence[Task], progress: Progress) -> Iterator[Result]:
        """Do the tasks in order, restarting the worker when it is lost."""
        for task in tasks:
            yield self._one(task, progress)

    def _one(self, task: Task, progress: Progress) -> Result:
        started = time.monotonic()
        lines: collections.deque[bytes] = collections.deque()
        if self._world not in ("", task.world):  # what one user's code leaves behind must not reach another's figures
            self._stop()
        self._world = task.world
        worker = self._worker or self._start(lines)
        if worker is None:
            return self._lost(task, started)
        started = time.monotonic()  # the time to start a worker is not the task's
        try:
            assert worker.stdin is not None  # noqa: S101 - opened as a pipe by _start
            worker.stdin.write(json.dumps(dataclasses.asdict(task)).encode() + b"\n")
            worker.stdin.flush()
        except BrokenPipeError:
            return self._lost(task, started)
        while True:
            left = None if task.timeout is None else task.timeout - (time.monotonic() - started)
            if left is not None and left <= 0:
                self._stop()
                message = f"took longer than {task.timeout:g} s; raise `timeout:` or ask for less"
                return Result(task.id, "timeout", message, seconds=round(time.monotonic() - started, 3))
            if not self._read(worker, left, lines):
                return self._lost(task, started)
            while lines:
                message_in = json.loads(lines.popleft())
                if "share" in message_in:
                    progress(task.id, message_in["share"])
                else:
                    return Result(**message_in)

    def _read(self, worker: subprocess.Popen[bytes], wait: float | None, lines: collections.deque[bytes]) -> bool:
        """Collect whole lines from the worker for a while; False when it is gone."""
        assert worker.stdout is not None  # noqa: S101 - opened as a pipe by _start
        if not select.select([worker.stdout], [], [], min(_PATIENCE, wait or _PATIENCE))[0]:
            # a process that the task started may hold the pipe open after the worker's death
            return worker.poll() is None
        received = os.read(worker.stdout.fileno(), 1 << 16)
        *whole, self._buffer = (self._buffer + received).split(b"\n")
        lines.extend(whole)
        return bool(received)

    def _lost(self, task: Task, started: float) -> Result:
        worker = self._worker
        try:
            code = worker.wait(_PATIENCE) if worker is not None else 0
        except subprocess.TimeoutExpired:
            code = 0  # it closed its pipe, but lives
        self._stop()
        how = f"exit code {code}"
        if code < 0:
            how = signal.Signals(-code).name
            how += " (often: out of memory)" if code == -signal.SIGKILL else ""
        message = f"the worker process died: {how}; what it printed last is in {self._log}"
        return Result(task.id, "lost", message, seconds=round(time.monotonic() - started, 3))

    def _start(self, lines: collections.deque[bytes]) -> subprocess.Popen[bytes] | None:
        """A new worker that is ready for tasks; None when it died before it was."""
        # it must find a user's modules where this process has found, and hashed, them
        path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
        with self._log.open("ab") as log:
            self._worker = subprocess.Popen(  # noqa: S603 - this program itself
                [sys.executable, "-m", "bench.engine.worker", *self._arguments, str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                # threads that spin while another process wants the cores are ten times slower: spin for less long
                env={"GOMP_SPINCOUNT": "30000", **os.environ, "PYTHONPATH": path},
            )
        self._buffer = b""
        while not lines:
            if not self._read(self._worker, None, lines):
                return None
        lines.popleft()
        return self._worker

    def _stop(self) -> None:
        if self._worker is not None:
            self._worker.kill()
            self._worker.wait()
            for pipe in (self._worker.stdin, self._worker.stdout):
                if pipe is not None:
                    pipe.close()
            self._worker = None

    def __enter__(self) -> Self:
        """The worker starts with the first task: a run with nothing to do needs none."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kill the worker."""
        self._stop()


EXECUTORS = ("local", "inline")


def make_executor(name: str, *, device: str, batch_size: int, log: Path) -> Executor:
    """An executor by name: one of `EXECUTORS`."""
    return InlineExecutor(device, batch_size) if name == "inline" else LocalExecutor(device, batch_size, log)
