"""Do larger balls break more samples, and the whole box all of them?"""

from __future__ import annotations

import math

from bench.audit.case import Case, Chosen
from bench.audit.finding import Checked, Finding, graded
from bench.errors import NoGradientError

_STEPS = 20


def radii(case: Case, *, samples: int = 32) -> Checked:
    """PGD at the largest radius, at twice that, and in a ball that holds the whole box.

    Where nothing bounds the change, every image can be turned into any other, so that an attack that fails there fails
    by itself; and a larger ball holds all examples of a smaller one.

    Args:
        case: What to look at.
        samples: Correctly classified samples to attack, at the most.

    Source: Carlini et al. 2019, section 5.4; Athalye, Carlini, Wagner 2018, section 3.1.
    """
    chosen = case.some(case.affordable(0.03, 3 * 1.5 * _STEPS, least=12, most=samples), case.correct)
    if len(chosen) == 0 or case.box[1] - case.box[0] == float("inf"):
        return Checked([Finding("unbounded attacks that fail", 0.0, 0.0, "pass", sentence="nothing to attack")])
    shares = [_share(case, chosen, radius) for radius in (max(case.epsilons), 2 * max(case.epsilons), math.inf)]
    failing = 1 - shares[2]
    sentence = (
        f"with nothing to bound it, the attack still fails on {failing:.0%} of {len(chosen)} samples, which no honest "
        f"model allows: the gradients do not lead anywhere"
    )
    less = max(0.0, shares[0] - shares[1], shares[1] - shares[2])
    unbounded = graded(
        "unbounded attacks that fail", failing, warn=0.05, fail=0.2, effects=("suspect", "masked"), sentence=sentence,
        advice="look for stages without a gradient, for saturated logits and for randomness",
    )  # fmt: skip
    larger = graded(
        "success lost by larger radii", less, warn=0.05, fail=0.15, effects=("suspect", "suspect"),
        sentence=f"a larger ball breaks fewer samples ({less:.0%} of {len(chosen)} less), though it holds all "
        f"examples of the smaller one",
        advice="give the attack more steps, or steps that grow with epsilon",
    )  # fmt: skip
    return Checked([unbounded, larger])


def _share(case: Case, chosen: Chosen, epsilon: float) -> float:
    """The share of samples that fall at one radius."""
    # not from a random point: of the whole box, that alone would break what no gradient leads to
    name, options = "pgd", {"steps": _STEPS, "start": "clean"}
    if case.threat(epsilon).norm == "l1":
        name, options = "l1-apgd", {"steps": _STEPS}
    try:
        return float(case.attack(name, chosen, epsilon, options, version="radii").broken.mean())
    except NoGradientError:
        return 0.0
