"""Do examples made for other models break what the attacks on the model itself cannot?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from bench.audit.case import Case, Chosen
from bench.audit.finding import Checked, Finding, Found, Probed
from bench.audit.gradient_free import compared

Others = Sequence[tuple[str, Callable[[int, Chosen], Tensor]]]
"""Other models of an evaluation: a name, and a function that gives their examples at a level for some samples."""


def transferred(case: Case, earlier: Probed, *, others: Others) -> Checked:
    """Try the examples that the evaluation's attacks crafted on its other models.

    Args:
        case: The model to try them on.
        earlier: What the check `stronger` found and took: on these samples the two are compared.
        others: The other models' examples.

    Source: Carlini et al. 2019, section 5.6; Athalye, Carlini, Wagner 2018, section 3.1.
    """
    found = Found(case.broken.shape)
    levels = [each for each in range(len(case.epsilons)) if earlier.took[each].any()]
    if not levels or not others:
        return Checked([Finding("samples that fall to transfer alone", 0.0, 3.0, "pass")], found)
    level = levels[-1]
    chosen = np.flatnonzero(earlier.took[level])
    fallen = np.zeros(len(chosen), np.bool_)
    for _, examples_of in others:
        examples = examples_of(level, chosen)
        reached = case.verified(chosen, examples, case.epsilons[level]).reached.numpy()
        found.add(level, chosen, reached, examples.cpu().numpy())
        fallen |= reached
    names = ", ".join(dict.fromkeys(name for name, _ in others))
    finding = compared(f"transfer from {names}", fallen, earlier.by_gradient[level][chosen], case.epsilons[level])
    return Checked([finding], found)
