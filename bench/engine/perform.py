"""One task, from its description to a file in the store. Whatever goes wrong ends in a status and a sentence."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.engine.store import write_record
from bench.engine.task import Result, Status, Task
from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.engine.work.workplace import Workplace


def perform(task: Task, place: Workplace, report: Callable[[float], None]) -> Result:
    """Do a task and write its record.

    Args:
        task: What to do.
        place: Where to do it.
        report: Told the share that is done.

    Returns:
        How it went. Nothing is raised but `KeyboardInterrupt`.
    """
    import torch

    from bench.engine.work import JOBS

    started = time.perf_counter()

    def result(status: Status, message: str = "", content: str = "", details: str = "") -> Result:
        return Result(task.id, status, message, content, round(time.perf_counter() - started, 3), details)

    place.inputs, place.report = task.inputs, report
    try:
        meta, arrays = JOBS[task.kind](task.work, place)
        facts: Mapping[str, Any] = {**meta, "kind": task.kind, "seconds": time.perf_counter() - started}
        return result("ok", content=write_record(Path(task.output), facts, arrays))
    except torch.OutOfMemoryError:
        return result("oom", "out of memory with a batch of one sample; use a device with more memory")
    except BenchError as error:
        return result("failed", str(error), details=traceback.format_exc())
    except Exception as error:
        return result("failed", _one_line(error), details=traceback.format_exc())


def _one_line(error: Exception) -> str:
    """An unforeseen error as one line, with the place in the code that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" (raised at {Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:400]}{where}"
