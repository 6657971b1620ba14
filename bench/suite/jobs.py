"""What a plan is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CHUNK = 500
"""Samples of one attack job at the most."""
VERSIONS = {
    "data": 1, "build": 1, "train": 1, "attack": 1, "verify": 1, "score": 1, "redirect": 1, "inspect": 1, "sample": 1,
    "measure": 1, "audit": 1, "rescue": 1,
}  # fmt: skip
"""Versions of what the kinds of jobs do beside their components, such as verifying, sharing radii, splitting samples.

Part of every key: raised when the same inputs give another result.
"""


@dataclass(frozen=True)
class Job:
    """The unit of work, caching and failure.

    Attributes:
        id: Name within the plan, such as ``attack/whitebox/cnn/0/pgd-40/0``.
        kind: ``data``, ``build``, ``train``, ``attack``, ``verify``, ``score``, ``redirect``, ``inspect``, ``sample``,
            ``measure``, ``audit`` or ``rescue``.
        identity: What the result depends on, as JSON with `ContentOf` for other jobs' results.
        work: What is needed to do it, as JSON; other jobs' results are named by job id.
        needs: Jobs whose results it uses.
        uses: Jobs whose results it uses where they end well; it waits for them and does without the others.
        timeout: Longest it may run, seconds.
        weight: Rough cost, for the estimate of the time left only.
    """

    id: str
    kind: str
    identity: Mapping[str, Any]
    work: Mapping[str, Any]
    needs: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    timeout: float | None = None
    weight: float = 1.0

    @property
    def awaited(self) -> tuple[str, ...]:
        """Jobs that have to end, in whatever way, before it can be done."""
        return self.needs + self.uses


@dataclass(frozen=True)
class Cell:
    """Where the outcomes of one model under one attack or metric are.

    Attributes:
        evaluation: Name of the evaluation.
        model: The model that is judged (the victim), or ``real-data``.
        part: Label of the attack, or of a generation metric.
        surrogate: Model the examples were crafted on, in a transfer evaluation.
        trials: For each trial of the model, the jobs with its outcomes, in the order of the samples.
        scores: For each imported metric, jobs shaped like `trials`.
    """

    evaluation: str
    model: str
    part: str
    surrogate: str | None
    trials: tuple[tuple[str, ...], ...]
    scores: Mapping[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class AuditCell:
    """Where the checks of one model in one evaluation are.

    Attributes:
        evaluation: Name of the evaluation.
        model: The model.
        trials: For each trial of the model its checks: job by name of the check (and, for some, of the attack).
        planted: The checks of attacks alone: job by label of the attack.
    """

    evaluation: str
    model: str
    trials: tuple[Mapping[tuple[str, str], str], ...]
    planted: Mapping[str, str]

    @property
    def jobs(self) -> list[str]:
        """All its jobs."""
        return [*self.planted.values(), *(job for checks in self.trials for job in checks.values())]


@dataclass(frozen=True)
class Plan:
    """All jobs of a suite, each after those it needs, and the cells they fill.

    Attributes:
        jobs: By id.
        cells: What the results are read from.
        waiting: Data sets whose samples are not known before their job has run; what uses them is not planned yet.
        unavailable: Data sets that cannot be had, with the reason; what uses them has no jobs.
        audits: The checks of each model of an evaluation that is audited.
    """

    jobs: Mapping[str, Job]
    cells: tuple[Cell, ...]
    waiting: frozenset[str]
    unavailable: Mapping[str, str]
    audits: Mapping[tuple[str, str], AuditCell] = field(default_factory=dict)


@dataclass(frozen=True)
class ContentOf:
    """Stands in an identity for the content of another job's result; no suite can write one.

    Attributes:
        job: Id of the other job.
    """

    job: str


def resolve(identity: Any, contents: Mapping[str, str]) -> Any:
    """An identity with every `ContentOf` replaced by that job's content, as JSON.

    >>> resolve({"weights": ContentOf("train/cnn/0")}, {"train/cnn/0": "ab12"})
    {'weights': 'ab12'}
    """
    if isinstance(identity, ContentOf):
        return contents[identity.job]
    if isinstance(identity, Mapping):
        return {key: resolve(value, contents) for key, value in identity.items()}
    if isinstance(identity, list | tuple):
        return [resolve(value, contents) for value in identity]
    return identity
