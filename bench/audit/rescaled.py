"""Does the scale of the logits hide the model?"""

from __future__ import annotations

import numpy as np

from bench.audit.case import Case, logit_scale
from bench.audit.finding import Checked, Finding, Found
from bench.audit.gradient_free import compared
from bench.errors import NoGradientError

_STEPS = 10


def rescaled(case: Case, *, samples: int = 24) -> Checked:
    """PGD on the cross-entropy, and the same on a copy of the model whose logits are divided by their scale.

    Dividing the logits changes no answer. An attack that does better on the copy was hindered by saturation.

    Args:
        case: What to attack.
        samples: Samples to attack, at the most.

    Source: Carlini and Wagner 2016 (Defensive distillation is not robust); Croce and Hein 2020, section 3.
    """
    found = Found(case.broken.shape)
    level = next((each for each in reversed(range(len(case.epsilons))) if (~case.broken[each]).sum() >= 3), None)
    if level is None:
        return Checked([Finding("samples that fall to rescaled logits alone", 0.0, 3.0, "pass")], found)
    chosen = case.nearest(case.affordable(0.03, 6.0 * _STEPS, least=16, most=samples), level)
    temperature = max(logit_scale(case.logits(case.batch(chosen)[0])), 1e-6)
    name = "l1-apgd" if case.norm == "l1" else "pgd"
    outcomes = []
    for divisor in (1.0, temperature):
        try:
            options = {"steps": _STEPS, "temperature": divisor}
            tried = case.attack(name, chosen, case.epsilons[level], options, version="rescaled")
            found.add(level, chosen, tried.broken, tried.examples)
            outcomes.append(tried.broken)
        except NoGradientError:
            outcomes.append(np.zeros(len(chosen), np.bool_))
    finding = compared(
        "the same attack on logits divided by their scale", outcomes[1], outcomes[0], case.epsilons[level]
    )
    return Checked([finding], found)
