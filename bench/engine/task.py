"""What goes to an executor and what comes back. Both are plain data, so that they can cross a process or a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

Status = Literal["ok", "failed", "lost", "timeout", "oom", "skipped", "not-run"]
"""How a job ended. ``lost``: its process died; ``skipped``: something it needs did not end ``ok``."""

STATUSES: tuple[Status, ...] = get_args(Status)


@dataclass(frozen=True)
class Task:
    """A job ready to be done.

    Attributes:
        id: The job's id.
        kind: The job's kind.
        work: What to do, as JSON.
        inputs: Files of the results it uses, by job id.
        output: Where its record goes.
        timeout: Longest it may take, seconds.
    """

    id: str
    kind: str
    work: Mapping[str, Any]
    inputs: Mapping[str, str]
    output: str
    timeout: float | None = None


@dataclass(frozen=True)
class Result:
    """How a task went.

    Attributes:
        id: The task's id.
        status: ``ok`` and then a record lies at the task's output, or what went wrong.
        message: One sentence; empty when ok.
        content: Names the record's arrays; empty when not ok.
        seconds: How long it took.
        details: The traceback, for the run folder's log.
    """

    id: str
    status: Status
    message: str = ""
    content: str = ""
    seconds: float = 0.0
    details: str = ""
