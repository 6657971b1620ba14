"""From the findings of an audit to two verdicts: of a row, and of a model."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.audit.finding import RANDOM, worth_telling
from bench.engine.store import Record
from bench.results.classified import Classified
from bench.results.row import ADEQUATE, BROKEN, MASKED, SUSPECT, TOO_WEAK, TRUSTED
from bench.suite.jobs import AuditCell

_WORSE = {"": 0, SUSPECT: 1, MASKED: 2}
_TOLD = 3
"""Findings that a reason names at the most."""


@dataclass(frozen=True)
class Told:
    """A finding as a report shows it.

    Attributes:
        check: Name of the check.
        attack: Label of the attack it is of; empty where it is of the model.
        trial: Trial of the model; None for a check of an attack alone.
        finding: Its fields.
    """

    check: str
    attack: str
    trial: int | None
    finding: Mapping[str, Any]


@dataclass(frozen=True)
class Judged:
    """What an audit says of a model in an evaluation.

    Attributes:
        verdict: ``trusted``, ``suspect`` or ``masked``.
        reason: What a reviewer would write, and what to try next.
        told: All findings.
        broken: Why an attack is called broken, by its label and the radius; of all radii, by None.
        found: For each trial the samples that checks showed can be broken, shape (E, n).
        searched: For each trial the samples that AutoAttack took in a check, shape (E, n).
        tried: For each trial the samples that better attacks of checks took, shape (E, n).
        passes: Forward passes plus two a backward pass that the checks made.
    """

    verdict: str
    reason: str
    told: tuple[Told, ...]
    broken: Mapping[tuple[str, float | None], str]
    found: tuple[NDArray[np.bool_], ...]
    searched: tuple[NDArray[np.bool_], ...]
    tried: tuple[NDArray[np.bool_], ...]
    passes: float

    def why_broken(self, label: str, epsilon: float) -> str:
        """Why an attack is called broken at a radius; empty where it is not."""
        return self.broken.get((label, epsilon), "") or self.broken.get((label, None), "")


def judge(
    audit: AuditCell, read: Callable[[str], Record], outcomes: Sequence[Classified], absent: Collection[str] = ()
) -> Judged:
    """The verdict on a model.

    Args:
        audit: Where its checks are; all have ended well.
        read: The record of a job.
        outcomes: What one of the evaluation's attacks left, for each trial: says how many samples and radii there are.
        absent: Jobs of checks that could not run and that the verdict can do without.
    """
    told: list[Told] = []
    found, searched, tried = ([np.zeros_like(trial.reached) for trial in outcomes] for _ in range(3))
    passes = 0.0
    for label, job in audit.planted.items():
        if job in absent:
            continue
        told += [Told("planted", label, None, finding) for finding in read(job).meta["findings"]]
    for trial, checks in enumerate(audit.trials):
        for (check, label), job in checks.items():
            if job in absent:
                continue
            record = read(job)
            told += [Told(check, label, trial, finding) for finding in record.meta["findings"]]
            passes += record.meta["forwards"] + 2 * record.meta["backwards"]
            if "found" in record.arrays:
                found[trial] |= record.arrays["found"]
            if "took" in record.arrays:
                tried[trial] |= record.arrays["took"]
            if check == "autoattack":
                searched[trial] |= record.arrays["took"]
    missing = {each.attack for each in told if each.check == "planted" and each.finding["effect"] == BROKEN}
    # an attack that misses what was planted says nothing of a model
    of_model = [
        each.finding
        for each in told
        if each.finding["effect"] in _WORSE and not (each.check == "watched" and each.attack in missing)
    ]
    verdict = max((finding["effect"] for finding in of_model), key=lambda effect: _WORSE[effect], default="")
    broken: dict[tuple[str, float | None], str] = {}
    for each in told:
        if each.finding["effect"] == BROKEN:
            broken.setdefault((each.attack, each.finding["epsilon"]), _said(each.finding))
    quick = not any(check == "autoattack" for trial in audit.trials for check, _ in trial)
    blamed = sorted((finding for finding in of_model if finding["effect"]), key=_first_told)
    reason = _reasons(blamed, quick=quick) if verdict else _trusted(told, quick=quick)
    left = (tuple(found), tuple(searched), tuple(tried))
    return Judged(verdict or TRUSTED, reason, tuple(told), broken, *left, passes)


def row_verdict(
    judged: Judged,
    epsilon: float,
    level: int,
    outcomes: Sequence[Classified],
    everything: Sequence[Classified],
    *,
    parts: Sequence[str],
    rescued: bool,
    carried: bool = False,
) -> tuple[str, str]:
    """The verdict on a row, and why.

    Args:
        judged: What the audit says.
        epsilon: The radius.
        level: Which it is of all radii, from the smallest.
        outcomes: What the attack left, one a trial.
        everything: The worst case over all attacks, one a trial.
        parts: Labels of the attacks the row is over: of the worst case all of them.
        rescued: Whether the row counts what was tried against masking.
        carried: Whether it counts what checks broke.
    """
    broken = {part: why for part in parts if (why := judged.why_broken(part, epsilon))}
    if len(broken) == len(parts) and not rescued:
        return BROKEN, broken[parts[0]]
    missed = n = standing = unsearched = 0
    for own, whole, found, searched in zip(outcomes, everything, judged.found, judged.searched, strict=True):
        missed += int(((whole.broken[level] | found[level]) & ~own.broken[level]).sum())
        standing += int((~own.broken[level]).sum())
        unsearched += int((~own.broken[level] & ~searched[level]).sum())
        n += own.broken.shape[1]
    if worth_telling(missed, n):
        return TOO_WEAK, (
            f"{missed} of {n} samples that it leaves standing fall to other attacks of the evaluation or of the "
            f"audit, so that its figure is too high by at least {missed / n:.1%}"
            + ("" if rescued else "; try autoattack, or more steps and restarts")
        )
    if unsearched and not rescued and (weak := _weak(judged, epsilon, parts)):
        counted = f"what checks broke is counted here, but {unsearched} of the {standing} samples that stand they did "
        return TOO_WEAK, f"{counted}not try; {weak}" if carried else weak
    if broken and not rescued:
        return TOO_WEAK, "; ".join(f"its attack '{part}' is broken: {why}" for part, why in broken.items())
    if judged.verdict == MASKED and standing and not rescued:
        (first, *_) = (each.finding for each in judged.told if each.finding["effect"] == MASKED)
        return TOO_WEAK, f"the model hides its gradients, so that what stands is not shown to be robust; {_said(first)}"
    return ADEQUATE, _adequate(judged, level, outcomes, missed, standing, rescued=rescued)


def _adequate(
    judged: Judged, level: int, outcomes: Sequence[Classified], missed: int, standing: int, *, rescued: bool
) -> str:
    """What speaks for a row that nothing speaks against."""
    if not standing:
        return "nothing is left standing"
    if rescued:
        return (
            f"left standing by all that was tried against masking: {standing}, which is no proof that they are robust"
        )
    tried = sum(
        int((tried[level] & ~own.broken[level]).sum()) for own, tried in zip(outcomes, judged.tried, strict=True)
    )
    return (
        f"left standing: {standing}; better attacks of the audit tried {tried} of them, and "
        f"{missed or 'none'} are known to fall"
    )


def known_bound(judged: Judged, level: int, outcomes: Sequence[Classified], everything: Sequence[Classified]) -> float:
    """What robust accuracy is at most at a radius, by all that is known to fall; NaN where the row counts all of it."""
    parts = zip(outcomes, everything, judged.found, strict=True)
    standing = [
        (~own.broken[level], ~(own.broken[level] | whole.broken[level] | found[level])) for own, whole, found in parts
    ]
    here, known = (float(np.mean([pair[place] for pair in standing])) for place in (0, 1))
    return known if known < here else math.nan


def _weak(judged: Judged, epsilon: float, parts: Sequence[str]) -> str:
    """What checks say of attacks of too little strength at a radius; empty where they say nothing.

    What a check broke among the samples that stand after all attacks, no attack had broken; what an attack misses of
    the planted examples counts where it is the only one, or all of them do.
    """
    said: dict[str, str] = {}
    for each in judged.told:
        if each.finding["effect"] == TOO_WEAK and each.finding["epsilon"] in (None, epsilon):
            said.setdefault(each.attack if each.check == "planted" else "", _said(each.finding))
    return said.get("") or (said[parts[0]] if all(part in said for part in parts) else "")


def _trusted(told: Sequence[Told], *, quick: bool) -> str:
    """What speaks for a model that nothing speaks against."""
    checks = {(each.check, each.attack, each.trial) for each in told if each.check != "planted"}
    return f"{len(checks)} checks found nothing that hides its gradients" + (
        "; `audit: full` looks for longer" if quick else ""
    )


def _first_told(finding: Mapping[str, Any]) -> tuple[bool, int]:
    """Randomness before all, as it changes how the others read; then the worst."""
    return finding["name"] != RANDOM, -_WORSE[finding["effect"]]


def _said(finding: Mapping[str, Any]) -> str:
    advice = f"; {finding['advice']}" if finding["advice"] else ""
    return f"{finding['sentence']}{advice}"


def _reasons(findings: Sequence[Mapping[str, Any]], *, quick: bool) -> str:
    """The sentences of some findings, each once, with the first two pieces of advice."""
    sentences = list(dict.fromkeys(finding["sentence"] for finding in findings))
    left = len(sentences) - _TOLD
    more = f"; and {left} more finding{'' if left == 1 else 's'}" if left > 0 else ""
    # the margin does not saturate: where its gradient is zero too, another loss is no way out
    dead = any(finding["name"] == "zero gradients of the margin" for finding in findings)
    advice = [finding["advice"] for finding in findings if not (dead and "saturate" in finding["advice"])]
    told = [*dict.fromkeys(advice)][:2] + (["or set `audit: full`, which tries all this"] if quick else [])
    return "; ".join(sentences[:_TOLD]) + more + f". Next: {'; '.join(told)}"
