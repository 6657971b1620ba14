"""What the rows of a run were made by: how they were measured, and everything they depend on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from bench.engine.state import NOT_RUN, JobState
from bench.hashing import digest
from bench.suite.jobs import ContentOf, Plan
from bench.suite.names import CLEAN, all_cell_rows
from bench.suite.spec import Suite

_SAMPLES = {"start", "stop", "pairs"}
"""Parts of an identity that say which samples; a figure of a set of samples is another one for another set."""
_OF_SETS = ("sample", "measure")
"""Kinds of jobs whose figures are of sets of samples."""
_GIVEN = {"data", "crafted", "outcomes", "checks", "others", "looks", "device"}
"""Parts that say what is measured, and not how."""
_MEASURING = ("attack ", "metric ")
"""How the names of components begin that measure, and are not measured."""
_CHOICES = {"seed", "epsilon"}
"""Those that a row's id names, or that leave what is measured as it is."""
_WEIGHTS = ("train", "data", "build")
"""Kinds of jobs whose results are inputs, named by their content."""


class Made(NamedTuple):
    """What a row was made by.

    Attributes:
        method: Names how it was measured: attack, metric, their options and versions, surrogate, feature network.
        whole: Names all it depends on but the machine; empty where not all of it can be named.
        models: Names the trained models it judges, trial by trial.
        code: Names what the users' attacks and metrics that measure it used; empty where there are none.
        untracked: What users' code behind it did that no list can hold, one phrase each.
    """

    method: str
    whole: str
    models: str
    code: str = ""
    untracked: tuple[str, ...] = ()


def made_by(suite: Suite, plan: Plan, states: Mapping[str, JobState]) -> dict[str, Made]:
    """What each row of a run was made by, by row id."""
    descriptions: dict[str, set[tuple[str, str]]] = {}
    victims: dict[str, str] = {}
    codes: dict[str, set[str]] = {}
    doubts: dict[str, set[str]] = {}
    teller = _Teller(plan, states)
    for cell in plan.cells:
        for part, rows, trials in all_cell_rows(suite, cell):
            try:
                told = set(teller.trials(trials))
                models = digest([teller.victim(jobs) for jobs in trials])[:16]
            except _UnknownError:  # weights that were never trained: the row has no figure
                continue
            behind = teller.behind(job for jobs in trials for job in jobs)
            for row in rows:
                victims[row] = models
                codes.setdefault(row, set()).update(
                    f"{component} {used}"
                    for job in behind
                    for component, used in states[job].made_of.items()
                    if component.startswith(_MEASURING)
                )
                doubts.setdefault(row, set()).update(
                    f"{component} {phrase}"
                    for job in behind
                    for component, phrases in states[job].untracked.items()
                    for phrase in phrases
                )
                # before any attack it is all the same which attack comes after
                descriptions.setdefault(row, set()).update(
                    told if part != CLEAN else {(CLEAN, whole) for _, whole in told}
                )
    return {
        row: Made(
            *_summed(found),
            victims[row],
            digest(sorted(codes[row]))[:16] if codes[row] else "",
            tuple(sorted(doubts[row])),
        )
        for row, found in descriptions.items()
    }


def _summed(found: set[tuple[str, str]]) -> tuple[str, str]:
    methods, wholes = ({pair[place] for pair in found} for place in (0, 1))
    return digest(sorted(methods))[:16], digest(sorted(wholes))[:16] if all(wholes) else ""


class _UnknownError(Exception):
    """Weights or data that are not there."""


class _Teller:
    """Describes jobs by what they and those before them are, whatever came of them."""

    def __init__(self, plan: Plan, states: Mapping[str, JobState]) -> None:
        self.plan, self.states = plan, states
        self.wholes: dict[str, str] = {}

    def trials(self, trials: Sequence[tuple[str, ...]]) -> Iterator[tuple[str, str]]:
        """Method and whole of the jobs of each trial."""
        for jobs in trials:
            victim = self.victim(jobs)
            for job in jobs:
                yield digest(self.method(job, victim)), self.whole(job)

    def victim(self, jobs: Sequence[str]) -> Any:
        """The model that some jobs judge, with its weights; None for real data."""
        waiting = list(jobs[:1])
        while waiting:
            job = self.plan.jobs[waiting.pop(0)]
            if "model" in job.identity and job.kind not in _WEIGHTS:
                return self.resolved(job.identity["model"])
            waiting += [need for need in job.needs if self.plan.jobs[need].kind not in _WEIGHTS]
        return None

    def behind(self, jobs: Iterable[str]) -> set[str]:
        """Some jobs that ended well, and those before them."""
        found: set[str] = set()
        waiting = list(jobs)
        while waiting:
            job = waiting.pop()
            state = self.states.get(job)
            if job not in found and state is not None and state.status == "ok":
                found.add(job)
                waiting += self.plan.jobs[job].awaited
        return found

    def whole(self, job: str) -> str:
        """Names all that a job's result depends on; empty where not all of it is known."""
        if job not in self.wholes:
            state = self.states.get(job, NOT_RUN)
            try:
                named = digest([self.resolved(self.plan.jobs[job].identity), dict(state.made_of)])
            except _UnknownError:
                named = ""
            self.wholes[job] = "" if state.untracked else named
        return self.wholes[job]

    def resolved(self, identity: Any) -> Any:
        """An identity with other jobs described, and their weights and data named by content; without the device."""
        if isinstance(identity, ContentOf):
            state = self.states.get(identity.job)
            known = state.content if state is not None and state.status == "ok" else ""
            found = known if self.plan.jobs[identity.job].kind in _WEIGHTS else self.whole(identity.job)
            if not found:
                raise _UnknownError
            return found
        if isinstance(identity, Mapping):
            return {key: self.resolved(value) for key, value in identity.items() if key != "device"}
        if isinstance(identity, list | tuple):
            return [self.resolved(value) for value in identity]
        return identity

    def method(self, job: str, victim: Any) -> Any:
        """How a job measures: its identity without the samples and the model it judges."""

        def told(identity: Any, left_out: set[str]) -> Any:
            if isinstance(identity, ContentOf):
                return self.resolved(identity) if self.plan.jobs[identity.job].kind in _WEIGHTS else of(identity.job)
            if isinstance(identity, Mapping):
                kept = {key: value for key, value in identity.items() if key not in left_out}
                if "model" in kept and self.resolved(kept["model"]) == victim:
                    kept["model"] = "the victim"
                return {key: told(value, left_out) for key, value in kept.items()}
            if isinstance(identity, list | tuple):
                return [told(value, left_out) for value in identity]
            return identity

        def of(job: str) -> Any:
            samples = set() if self.plan.jobs[job].kind in _OF_SETS else _SAMPLES
            return told(self.plan.jobs[job].identity, _GIVEN | _CHOICES | samples)

        return of(job)
