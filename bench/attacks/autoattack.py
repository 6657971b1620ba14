"""AutoAttack: four attacks without a parameter to tune, each on what the ones before left standing."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from bench.attacks.apgd import apgd_ce, apgd_dlr, apgd_t
from bench.attacks.counting import CountedModel, Part, of_rows
from bench.attacks.draws import Draws
from bench.attacks.fab import fab_t
from bench.attacks.goal import Goal
from bench.attacks.square import square
from bench.attacks.threat import Threat
from bench.errors import NoGradientError

RANDOM_PASSES = 20
"""Passes averaged at each step of the version for random models."""

_VERSIONS: dict[str, dict[str, Callable[..., Tensor]]] = {
    "standard": {
        "apgd-ce": partial(apgd_ce, steps=100, restarts=1),
        "apgd-t": partial(apgd_t, steps=100, restarts=1, targets=9),
        "fab-t": partial(fab_t, steps=100, targets=9, alpha_max=0.1, overshoot=1.05, backward=0.9),
        "square": partial(square, queries=5000, restarts=1, share=0.8, rescale=False),
    },
    "rand": {
        "apgd-ce": partial(apgd_ce, steps=100, restarts=1),
        "apgd-dlr": partial(apgd_dlr, steps=100, restarts=1),
    },
}


def autoattack(
    model: Callable[[Tensor], Tensor],
    x: Tensor,
    goal: Goal,
    *,
    threat: Threat,
    draws: Draws,
    version: str = "standard",
) -> Tensor:
    """The published ensemble, in its order, with its steps and targets, each part from the clean image.

    With fewer than ten classes the targeted parts aim at all the others there are.

    Args:
        model: Inputs to logits (n, classes).
        x: Clean inputs, shape (n, ...), inside the threat's box.
        goal: Labels, or targets to move towards.
        threat: Ball (``linf`` or ``l2``) and box.
        draws: One seed a sample.
        version: ``standard``: APGD-CE, APGD-T, FAB-T, Square; ``rand``: APGD-CE and APGD-DLR with 20 passes averaged
            at each step, for models that are random (another number where the model already averages).

    Returns:
        An adversarial example where one was found, else a point of the first part; shape of `x`.

    Raises:
        NoGradientError: The model gives no gradient, and the version has no part that needs none.

    Source: Croce and Hein 2020, section 6.
    """
    if version == "rand" and isinstance(model, CountedModel | Part) and model.averaged == 1:
        model = model.averaging(RANDOM_PASSES)
    found, rows = x, torch.arange(len(x), device=x.device)
    blind: NoGradientError | None = None
    for name, attack in _VERSIONS[version].items():
        part, aim = of_rows(model, rows), goal.rows(rows)
        try:
            examples = attack(part, x[rows], aim, threat=threat, draws=draws.rows(rows).branch(name))
        except NoGradientError as error:
            blind = error
            continue
        examples = threat.project(examples, x[rows])
        with torch.no_grad():
            open_rows = aim.margin(part(examples)) <= 0
        found = examples if len(rows) == len(x) and found is x else found.index_copy(0, rows, examples)
        rows = rows[open_rows]
        if len(rows) == 0:
            break
    if blind is not None and found is x:
        raise blind
    return found
