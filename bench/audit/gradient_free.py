"""Do attacks that need no gradient break what attacks by gradients cannot?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.audit.case import Case, Chosen, Tried
from bench.audit.finding import Checked, Finding, Found, Level, Probed
from bench.audit.stronger import COST, better_attacks
from bench.chance import at_least
from bench.errors import NoGradientError

_LEVEL = 0.01
"""Largest probability of calling chance a better attack; an audit asks so a good ten times."""
_SUSPECT, _MASKED = 1, 2
"""What falls to a lesser attack alone, as a multiple of what falls to the gradient, above which a model is suspect, or
masked. On honest robust networks a long random search finds some samples, but not so many."""
_FEWEST = 3
_STEPS = 20
"""Of the short Auto-PGD on what fell to a lesser attack."""


def gradient_free(
    case: Case,
    earlier: Probed,
    *,
    attacks: Sequence[tuple[str, str]] = (),
    samples: int = 40,
    queries: int = 200,
    draws: int = 20,
    thorough: bool = False,
) -> Checked:
    """Square, noise and one step of the gradient on samples that a better gradient attack has tried.

    On an honest model an attack that sees the gradient breaks more than one that does not. So the samples are compared
    one by one: those that fall to the gradient-free attack alone against those that fall to the gradient attack alone.
    The same holds for the attacks of the evaluation, where it has some of the lesser kind.

    Args:
        case: What to attack.
        earlier: What the check `stronger` found and took.
        attacks: Label and kind of each attack of the evaluation: ``lesser``, for one step or none of the gradient;
            ``gradient``, for many; empty for all others.
        samples: Samples to attack, at the most.
        queries: Of Square.
        draws: Of noise, for each sample.
        thorough: Take as many samples as are asked for, whatever they cost.

    Source: Carlini et al. 2019, sections 5.6 and 5.9; Athalye, Carlini, Wagner 2018, section 3.1.
    """
    found = Found(case.broken.shape)
    findings = _lesser(case, earlier, attacks)
    level = next((each for each in reversed(range(len(case.epsilons))) if earlier.took[each].sum() >= _FEWEST), None)
    if level is None:
        return Checked([*findings, Finding("gradient-free attacks that do better", 0.0, _LEVEL, "pass")], found)
    taken = np.flatnonzero(earlier.took[level])
    by_gradient = earlier.by_gradient[level]
    for name, options, passes in _attacks(case, queries, draws):
        chosen = taken[np.argsort(-case.margin[level][taken], kind="stable")]
        count = samples if thorough else case.affordable(0.06, passes, most=samples)
        chosen = np.sort(chosen[:count])
        tried = _tried(case, name, chosen, case.epsilons[level], options)
        if tried is not None:
            found.add(level, chosen, tried.broken, tried.examples)
            findings.append(compared(name, tried.broken, by_gradient[chosen], case.epsilons[level]))
    return Checked(findings, found)


def gradient_free_long(case: Case, earlier: Probed) -> Checked:
    """The same for longer, beside AutoAttack's parts that use the gradient: 2,000 queries, 10,000 draws of noise."""
    return gradient_free(case, earlier, samples=100, queries=2000, draws=10_000, thorough=True)


def _lesser(case: Case, earlier: Probed, attacks: Sequence[tuple[str, str]]) -> list[Finding]:
    """Each lesser attack of the evaluation beside all of its others, and a short Auto-PGD on what falls to it alone."""
    by_gradient = earlier.by_gradient.copy()
    for (_, kind), fell in zip(attacks, case.fell, strict=False):
        if kind == "gradient":
            by_gradient |= fell
    findings = []
    for (label, kind), fell in zip(attacks, case.fell, strict=False):
        if kind != "lesser":
            continue
        alone, other = fell & ~by_gradient & case.correct, by_gradient & ~fell & case.correct
        level = int(alone.sum(1).argmax())
        every = int(alone[level].sum())
        chosen = case.some(case.affordable(0.03, COST * _STEPS, most=40), alone[level])
        left = chosen
        for name, options in better_attacks(case, _STEPS):
            try:
                tried = case.attack(name, left, case.epsilons[level], options, version="lesser") if len(left) else None
            except NoGradientError:
                continue
            left = left if tried is None else left[~tried.broken]
        # of what it broke alone some were tried: so many of the others stand against them
        against = round(int(other[level].sum()) * len(chosen) / max(1, every))
        whole = against + len(chosen) - len(left)
        name = f"the evaluation's {label}"
        findings.append(_misled(name, len(left), against, whole, len(chosen), case.epsilons[level]))
    return findings


def _attacks(case: Case, queries: int, draws: int) -> list[tuple[str, Mapping[str, Any], float]]:
    if case.norm == "l1":
        return []
    return [
        ("square", {"queries": queries}, queries),
        ("noise", {"repeats": draws, "law": "uniform"}, draws + 1),
        ("fgsm", {}, 4),
    ]


def _tried(case: Case, name: str, chosen: Chosen, epsilon: float, options: Mapping[str, Any]) -> Tried | None:
    try:
        return case.attack(name, chosen, epsilon, options, version=name)
    except NoGradientError:
        if name == "fgsm":  # there is no gradient, as another check says
            return None
        raise


def compared(name: str, tried: NDArray[np.bool_], by_gradient: NDArray[np.bool_], epsilon: float) -> Finding:
    """An attack that should not do better beside the gradient attack, sample by sample."""
    alone, other = int((tried & ~by_gradient).sum()), int((by_gradient & ~tried).sum())
    return _misled(name, alone, other, int(by_gradient.sum()), len(tried), epsilon)


def _misled(name: str, alone: int, other: int, whole: int, n: int, epsilon: float) -> Finding:
    """What follows from what falls to a lesser attack.

    Args:
        name: Of the lesser attack.
        alone: Samples of n that fall to it alone.
        other: Those that fall to the gradient alone.
        whole: Those that fall to the gradient.
        n: Samples that were tried.
        epsilon: The radius.
    """
    chance = at_least(alone, alone + other)
    title = f"samples that fall to {name} alone"
    if alone < _FEWEST or chance > _LEVEL or alone <= _SUSPECT * whole:
        return Finding(title, alone, max(_FEWEST, _SUSPECT * whole), "pass")
    masked = alone > _MASKED * whole
    beside = f"; that one breaks {whole}" + (f", {other} of which {name} cannot" if other else "") if whole else ""
    sentence = (
        f"at {epsilon:.3g} {name} breaks {alone} of {n} samples that the best attack by gradients cannot{beside} "
        f"(p = {chance:.1g} if the two were as good): the gradients mislead"
    )
    advice = "find what hides the gradient; count attacks that need none"
    level: Level = "fail" if masked else "warn"
    return Finding(title, alone, _SUSPECT * whole, level, "masked" if masked else "suspect", sentence, advice)
