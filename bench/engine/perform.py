"""One task, from its description to a file in the store. Whatever goes wrong ends in a status and a sentence."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.engine.imports import import_ahead
from bench.engine.store import write_record
from bench.engine.task import Result, Status, Task
from bench.errors import BenchError
from bench.randomness import derive_seed

if TYPE_CHECKING:
    from bench.engine.work.workplace import Workplace

_LONGEST = 1000
"""Characters of a message at the most."""


def perform(task: Task, place: Workplace, report: Callable[[float], None]) -> Result:
    """Do a task and write its record.

    Args:
        task: What to do.
        place: Where to do it.
        report: Told the share that is done.

    Returns:
        How it went. Nothing is raised but `KeyboardInterrupt`.
    """
    from bench.engine.work import JOBS
    from bench.engine.work.calling import out_of_memory
    from bench.engine.work.seeding import seeded

    started = time.perf_counter()

    def result(status: Status, message: str = "", details: str = "") -> Result:
        seconds = round(time.perf_counter() - started, 3)
        return Result(task.id, status, _one_line(message), seconds=seconds, details=_printable(details))

    place.inputs, place.report = task.inputs, report
    try:
        with seeded(0):
            import_ahead(task.work)
        with seeded(_seed(task)):
            meta, arrays = JOBS[task.kind](task.work, place)
        done = result("ok")
        facts: Mapping[str, Any] = {**meta, "kind": task.kind, "seconds": done.seconds}
        return replace(done, content=write_record(Path(task.output), facts, arrays))
    except BenchError as error:
        return result("failed", str(error), details=traceback.format_exc())
    except (Exception, SystemExit) as error:  # a user's code that calls sys.exit ends its job, not the run
        if out_of_memory(error):
            message = "out of memory with a batch of one sample; use a device with more memory"
            return result("oom", message, details=traceback.format_exc())
        return result("failed", _unforeseen(error), details=traceback.format_exc())


def _seed(task: Task) -> int:
    """A seed for the global generators; names of models and evaluations leave it as it is, as they do the key."""
    facts = [str(task.work.get(name, "")) for name in ("start", "trial")]
    return derive_seed(int(task.work.get("seed", 0)), "job", task.kind, *facts)


def _unforeseen(error: BaseException) -> str:
    """An unforeseen error, with the place in the code that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" (raised at {Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {_one_line(str(error))[:400]}{where}"


def _one_line(text: str) -> str:
    """A message as one line of a CSV file or a terminal; what libraries add over many lines is shortened."""
    words = " ".join(_printable(text).split())
    return words if len(words) <= _LONGEST else f"{words[: _LONGEST - 3]}..."


def _printable(text: str) -> str:
    """A text that every encoding of ours can write: file names may hold bytes that are no characters."""
    return text.encode("utf-8", "backslashreplace").decode()
