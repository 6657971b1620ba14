"""One task, from its description to a file in the store. Whatever goes wrong ends in a status and a sentence."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.engine.environment import working_place
from bench.engine.store import Store, write_record
from bench.engine.task import Place, Result, Status, Task
from bench.engine.unfinished import drop
from bench.errors import BenchError
from bench.manifest.digests import Digests
from bench.manifest.entries import Manifests
from bench.manifest.running import user_code
from bench.randomness import derive_seed

if TYPE_CHECKING:
    from bench.engine.work.train import Made
    from bench.engine.work.workplace import Workplace
    from bench.engine.worlds import World

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
    from bench.engine.work.memory import PeakMemory
    from bench.engine.work.seeding import seeded, undisturbed

    memory = PeakMemory(place.device)
    started = time.perf_counter()

    def result(status: Status, message: str = "", details: str = "") -> Result:
        seconds = round(time.perf_counter() - started, 3)
        return Result(
            task.id, status, _one_line(message), seconds=seconds, peak=memory.bytes(), details=_printable(details)
        )

    outputs = [Path(part["output"]) for part in task.together] or [Path(task.output)]
    where = Place(**task.place)
    try:
        world = place.begin(task, outputs, report)
        with place.worlds.job(world):
            with undisturbed(), seeded(0):
                _import_ahead(world)
            if task.together:
                return _together(task, place, result)
            with undisturbed(), seeded(_seed(task)):
                made = JOBS[task.kind](task.work, place)
        manifests = place.worlds.manifests(world, where.suite or None, Digests(where.hidden), where.run)
        return _written(task, result("ok"), made, manifests)
    except BenchError as error:
        return result("failed", str(error), details=traceback.format_exc())
    except (Exception, SystemExit) as error:  # a user's code that calls sys.exit ends its job, not the run
        if out_of_memory(error):
            message = "out of memory with a batch of one sample; use a device with more memory"
            return result("oom", message, details=traceback.format_exc())
        return result("failed", _unforeseen(error), details=traceback.format_exc())


def _together(task: Task, place: Workplace, result: Callable[..., Result]) -> Result:
    """Train several trials at once; a trial that failed is a result like the others.

    Records are written in the order of the trials: the checkpoint of a stack has the name of its last one.
    """
    from bench.engine.work.seeding import seeded
    from bench.engine.work.train import train_together

    with seeded(_seed(task)):
        made = train_together(task.work, [int(part["trial"]) for part in task.together], place)
    parts = []
    for part, each in zip(task.together, made, strict=True):
        one = replace(task, id=part["id"], output=part["output"], together=())
        own = replace(result("ok") if not isinstance(each, BenchError) else result("failed", str(each)), id=one.id)
        parts.append(own if isinstance(each, BenchError) else _written(one, own, each))
    drop(Path(task.together[-1]["output"]))  # which has no record when its trial failed
    return replace(parts[0], others=[asdict(part) for part in parts[1:]])


def _import_ahead(world: World) -> None:
    """Import a user's components before anything is seeded for the job.

    Modules may draw from the global generators while they are imported. What a job draws must not depend on whether
    it is the first to import them. A name that cannot be imported is left to the job, which says so.
    """
    for component in world.components:
        with suppress(BenchError):
            user_code(component.role, component.code)


def _written(task: Task, done: Result, made: Made, manifests: Manifests | None = None) -> Result:
    """The result of a task whose record is now in its place."""
    from bench.engine.work.build import content_of

    meta, arrays = made
    output, used = Path(task.output), manifests or Manifests()
    facts: Mapping[str, Any] = {
        **meta, "seconds": done.seconds, "peak": done.peak, "machine": working_place(),
    }  # fmt: skip
    if task.kind == "build":
        facts = {**facts, "content": content_of(meta, used)}
    manifest = Store(Path(task.place["store"])).keep(used) if used.components else ""
    header = write_record(output.parent, facts, arrays, kind=task.kind, key=output.name, manifest=manifest)
    if task.kind == "train":
        drop(Path(task.output))  # not before: a full disk must not cost a finished training
    return replace(done, content=header.content, manifest=manifest)


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
