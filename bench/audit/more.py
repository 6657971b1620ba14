"""Does more of the same attack break more?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.audit.case import Case
from bench.audit.finding import SHARE, Checked, Finding, Found, worth_telling
from bench.errors import NoGradientError


def more(case: Case, *, name: str, options: Mapping[str, Any], what: str, samples: int = 100) -> Checked:
    """The attack with twice its steps or queries, or with more restarts, on the samples nearest to the boundary.

    Within the budget of the evaluation, where it has one.

    Args:
        case: What to attack.
        name: The attack.
        options: Its options.
        what: Which of them to raise: ``steps``, ``queries`` or ``restarts``.
        samples: Samples to take over all radii, at the most.

    Source: Carlini et al. 2019, section 5.2.
    """
    longer = {**options, what: options[what] + 4 if what == "restarts" else 2 * options[what]}
    found, levels = Found(case.broken.shape), len(case.epsilons)
    findings = []
    for level in range(levels):
        chosen = case.nearest(-(-samples // levels), level)
        if len(chosen):
            try:
                tried = case.attack(
                    name, chosen, case.epsilons[level], longer, budget=case.budget, version=f"more {what}"
                )
            except NoGradientError:
                break  # another check says so
            found.add(level, chosen, tried.broken, tried.examples)
        fallen, n = int(found.flags[level].sum()), case.broken.shape[1]
        title = f"samples that fall to {longer[what]} {what} at {case.epsilons[level]:.3g}"
        epsilon = case.epsilons[level]
        if not worth_telling(fallen, n, len(chosen)):
            findings.append(Finding(title, fallen / n, SHARE, "pass", epsilon=epsilon))
            continue
        sentence = (
            f"at {case.epsilons[level]:.3g} the same attack with {longer[what]} {what} in place of {options[what]} "
            f"breaks {fallen} of {len(chosen)} samples that it left standing"
        )
        advice = f"give the attack more {what}"
        findings.append(Finding(title, fallen / n, SHARE, "fail", "too-weak", sentence, advice, epsilon))
    return Checked(findings, found)
