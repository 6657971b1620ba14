"""How each job of a run ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.engine.task import Status


@dataclass(frozen=True)
class JobState:
    """The end of one job in one run.

    Attributes:
        status: ``ok``, or what went wrong, or ``not-run``.
        key: Its evaluation or recipe key; empty when what it needs is not known.
        path: Its record; None unless ok.
        content: Names what the record holds.
        message: One sentence; empty when ok.
        cause: The job that is to blame, where it is another one.
        seconds: How long it took when it was done, be it in this run or an earlier one.
        peak: Most memory in use meanwhile, bytes: of the GPU, or of the whole process on a CPU; 0 if not known.
        machine: Where it was done; see `bench.engine.environment.MACHINE`.
        origin: ``done`` in this run, ``store`` or ``zoo``; empty unless ok.
        manifest: Names the list of what making the result used; empty where all of that is in the key.
        made_of: Names what each of the users' components behind it used, by component.
        untracked: What users' components did that no list can hold, by component.
    """

    status: Status
    key: str = ""
    path: Path | None = None
    content: str = ""
    message: str = ""
    cause: str = ""
    seconds: float = 0.0
    peak: int = 0
    machine: Mapping[str, str] = field(default_factory=dict)
    origin: str = ""
    manifest: str = ""
    made_of: Mapping[str, str] = field(default_factory=dict)
    untracked: Mapping[str, Sequence[str]] = field(default_factory=dict)


NOT_RUN = JobState("not-run", message="the run ended before this job")
