"""Do examples made for other models break what the attacks on the model itself cannot?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from bench.attacks.verify import verify
from bench.audit.case import Case, Chosen
from bench.audit.finding import Checked, Finding
from bench.audit.gradient_free import compared

Others = Sequence[tuple[str, Callable[[int, Chosen], Tensor]]]
"""Other models of an evaluation: a name, and a function that gives their examples at a level for some samples."""


def transferred(case: Case, earlier: Checked, *, others: Others) -> Checked:
    """Try the examples that the evaluation's attacks crafted on its other models.

    Args:
        case: The model to try them on.
        earlier: What the check `stronger` found and took: on these samples the two are compared.
        others: The other models' examples.

    Source: Carlini et al. 2019, section 5.6; Athalye, Carlini, Wagner 2018, section 3.1.
    """
    assert earlier.took is not None and earlier.found is not None  # noqa: S101, PT018 - `stronger` always leaves both
    found = np.zeros_like(case.broken)
    levels = [each for each in range(len(case.epsilons)) if earlier.took[each].any()]
    if not levels or not others:
        return Checked([Finding("samples that fall to transfer alone", 0.0, 3.0, "pass")], found)
    level = levels[-1]
    chosen = np.flatnonzero(earlier.took[level])
    x, y = case.batch(chosen)
    fallen = np.zeros(len(chosen), np.bool_)
    for _, examples_of in others:
        examples = examples_of(level, chosen).to(x.device)
        aims = None if case.targets is None else torch.from_numpy(case.targets[chosen]).to(y.device)
        seen = verify(case.model, x, y, examples, threat=case.threat(case.epsilons[level]), targets=aims)
        case.spent["forwards"] += len(x)
        fallen |= seen.reached.numpy()
    found[level, chosen[fallen]] = True
    names = ", ".join(dict.fromkeys(name for name, _ in others))
    finding = compared(f"transfer from {names}", fallen, earlier.found[level][chosen], case.epsilons[level])
    return Checked([finding], found)
