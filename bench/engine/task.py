"""What goes to an executor and what comes back. Both are plain data, so that they can cross a process or a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

Status = Literal["ok", "failed", "lost", "timeout", "oom", "skipped", "not-run"]
"""How a job ended. ``lost``: its process died; ``skipped``: something it needs did not end ``ok``."""

STATUSES: tuple[Status, ...] = get_args(Status)


@dataclass(frozen=True)
class Place:
    """Where a run takes place, for the lists of what its jobs use.

    Attributes:
        suite: Folder of the suite file; empty where there is none.
        store: Root of the store; empty where lists are kept nowhere.
        hidden: Folders that never count: the store and the run folder.
        run: Names the run.
    """

    suite: str = ""
    store: str = ""
    hidden: Sequence[str] = ()
    run: str = ""


@dataclass(frozen=True)
class Task:
    """A job ready to be done.

    Attributes:
        id: The job's id.
        kind: The job's kind.
        work: What to do, as JSON.
        inputs: Files of the results it uses, by job id; none of those it does without.
        output: Where its record goes; where it has a list, that list's name is added to the file's.
        timeout: Longest it may take, seconds.
        together: Trials of a training that are trained as one, this task's first: each has the `id`, the `trial` and
            the `output` that it would have as a task of its own. Empty for any other task.
        world: Names the users' components that it runs; empty where all code is of this package.
        place: Where the run takes place, as the fields of `Place`.
        earlier: The record of an earlier run to compare the result with; empty where there is none.
    """

    id: str
    kind: str
    work: Mapping[str, Any]
    inputs: Mapping[str, str]
    output: str
    timeout: float | None = None
    together: Sequence[Mapping[str, Any]] = ()
    world: str = ""
    place: Mapping[str, Any] = field(default_factory=dict)
    earlier: str = ""


@dataclass(frozen=True)
class Result:
    """How a task went.

    Attributes:
        id: The task's id.
        status: ``ok`` and then a record lies at the task's output, or what went wrong.
        message: One sentence; empty when ok.
        content: Names what the record holds; empty when not ok.
        seconds: How long it took.
        peak: Most memory in use while it was done, bytes: of the GPU, or of the whole process on a CPU; 0 if not known.
        details: The traceback, for the run folder's log.
        others: How the other trials of a task went that were trained together with it, as results in JSON.
        manifest: Names the list of what it used; empty where all code was of this package.
    """

    id: str
    status: Status
    message: str = ""
    content: str = ""
    seconds: float = 0.0
    peak: int = 0
    details: str = ""
    others: Sequence[Mapping[str, Any]] = ()
    manifest: str = ""


def apart(task: Task, result: Result) -> list[Result]:
    """One result for each trial of a task; where it ended as a whole (lost, timed out), for all alike."""
    if not task.together:
        return [result]
    if result.others:
        return [replace(result, others=()), *(Result(**other) for other in result.others)]
    return [replace(result, id=part["id"]) for part in task.together]
