"""Do samples fall to better attacks that the attacks of the evaluation left standing?"""

from __future__ import annotations

import numpy as np

from bench.audit.case import Case
from bench.audit.finding import SHARE, Finding, Found, Probed, worth_telling
from bench.errors import NoGradientError

COST = 7.5
"""Forward passes and twice the backward passes of a step of the short attacks together."""
_LEAST = 20
"""Samples that are taken whatever they cost: of few, no difference is more than chance."""


def stronger(case: Case, *, samples: int = 120, steps: int = 20, thorough: bool = False) -> Probed:
    """Auto-PGD on the samples that stand nearest to the decision boundary: on the cross-entropy, then towards classes.

    What falls is a fact and no estimate: the robust accuracy that the attacks leave is too high by at least as much.

    Args:
        case: What to attack.
        samples: Samples to take over all radii, at the most.
        steps: Steps of Auto-PGD; both losses together.
        thorough: Attack with AutoAttack's own parts and lengths.

    Source: Carlini et al. 2019, section 4 (stronger attacks, per example); Croce and Hein 2020.
    """
    levels = len(case.epsilons)
    found, took, by_gradient = Found(case.broken.shape), np.zeros_like(case.broken), np.zeros_like(case.broken)
    budget = samples if thorough else case.affordable(0.12, COST * steps, least=max(_LEAST, 8 * levels), most=samples)
    # the largest radius first: what is left of its share goes to the smaller ones
    for level in reversed(range(levels)):
        chosen = case.nearest(-(-budget // (level + 1)), level)
        budget -= len(chosen)
        took[level, chosen] = True
        for name, options in better_attacks(case, steps, thorough=thorough):
            left = chosen[~found.flags[level, chosen]]
            if len(left) == 0:
                break
            try:
                tried = case.attack(name, left, case.epsilons[level], options, version="stronger")
            except NoGradientError:
                continue  # no gradient at all: another check says so
            found.add(level, left, tried.broken, tried.examples)
            if name != "square":
                by_gradient[level, left] |= tried.broken
    fallen, n = [int(row.sum()) for row in found.flags], case.broken.shape[1]
    what = "AutoAttack" if thorough else "a short Auto-PGD"
    findings = [_finding(case, level, what, fallen[level], int(took[level].sum()), n) for level in range(levels)]
    return Probed(findings, found=found, took=took, by_gradient=by_gradient)


def with_autoattack(case: Case, *, samples: int = 200) -> Probed:
    """AutoAttack on the samples that stand nearest to the decision boundary; see `stronger`."""
    return stronger(case, samples=samples, thorough=True)


def better_attacks(case: Case, steps: int, *, thorough: bool = False) -> list[tuple[str, dict[str, object]]]:
    """Attacks, each on what those before it left standing: a short Auto-PGD, or the parts of AutoAttack.

    Args:
        case: What they are for.
        steps: Steps of a short one.
        thorough: AutoAttack's own parts and lengths.
    """
    if case.norm == "l1":
        return [("l1-apgd", {"steps": 2 * steps, "loss": loss}) for loss in ("cross-entropy", "dlr")]
    if thorough:
        return [("apgd-ce", {}), ("apgd-t", {}), ("fab-t", {}), ("square", {"rescale": False})]
    if case.targets is not None:
        return [("apgd-ce", {"steps": steps}), ("pgd", {"steps": steps, "loss": "margin"})]
    return [("apgd-ce", {"steps": steps}), ("apgd-t", {"steps": steps, "targets": 2})]


def _finding(case: Case, level: int, what: str, fallen: int, took: int, n: int) -> Finding:
    name, share, epsilon = (
        f"samples that fall to {what} at {case.epsilons[level]:.3g}",
        fallen / n,
        case.epsilons[level],
    )
    if not worth_telling(fallen, n, took):
        return Finding(name, share, SHARE, "pass", epsilon=epsilon)
    sentence = (
        f"at {case.epsilons[level]:.3g} {what} breaks {fallen} of the {took} samples that stood nearest to the "
        f"boundary: the robust accuracy that the attacks leave is too high by at least {share:.1%}"
    )
    advice = "attack with autoattack, or with more steps and restarts"
    return Finding(name, share, SHARE, "fail", "too-weak", sentence, advice, epsilon)
