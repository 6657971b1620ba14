"""Do inputs get gradients at all?"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.attacks.counting import CountedModel
from bench.attacks.draws import Draws
from bench.attacks.goal import Goal, Objective
from bench.attacks.gradients import input_gradient
from bench.attacks.noise import random_point
from bench.attacks.threat import Threat
from bench.attacks.watching import useless
from bench.audit.case import Case
from bench.audit.finding import Checked, Finding, graded
from bench.defenses.stage import substituting
from bench.errors import NoGradientError
from bench.randomness import derive_seed

_ADVICE = {
    "cross-entropy": "attack with a loss that does not saturate (apgd-dlr, or `loss: margin`), or divide the logits "
    "by a `temperature`",
    "margin": "replace the stage that stops the gradient by a differentiable one while attacking (`bpda: true` with a "
    "declared stage), and try an attack that needs no gradient (square) and transfer from another model",
}


def gradients(case: Case, *, samples: int = 100) -> Checked:
    """The share of samples whose input gradient is zero in every entry, or not finite, for two losses.

    Judged by the gradient and not by the loss: a loss of 0 in float32 can have a gradient that is good enough for its
    sign, and a saturated softmax one that is not. Half of the samples are looked at where they are, half at a random
    point of the smallest ball.

    Args:
        case: What to look at.
        samples: Correctly classified samples to look at, at the most.

    Source: Pintor et al. 2022 (indicators of attack failure), unavailable gradients; Carlini et al. 2019, section 4.
    """
    chosen = case.some(case.affordable(0.02, 6, least=min(20, samples), most=samples), case.correct)
    if len(chosen) == 0:
        return Checked([Finding("zero gradients", 0.0, 0.0, "pass", sentence="the model classifies nothing correctly")])
    x, y = case.batch(chosen)
    x = _moved(case, x, chosen.tolist())
    goal, findings = Goal(y, case.aims(chosen, y)), []
    losses: tuple[Objective, ...] = ("cross-entropy", "margin")
    for loss in losses:

        def standing(part: slice, loss: Objective = loss) -> Tensor:
            counted = CountedModel(case.model, len(x[part]), device=x.device)
            aim = goal.rows(torch.arange(len(x), device=x.device)[part]).by(loss)
            with substituting(case.bpda):
                return useless(input_gradient(counted, x[part], aim.loss)[0])

        try:
            share = float(torch.cat(case.batched(standing, len(x))).float().mean())
        except NoGradientError as error:
            sentence = f"the model gives no gradient at all ({error}), so that attacks by gradients say nothing of it"
            return Checked([Finding("zero gradients", 1.0, 0.1, "fail", "masked", sentence, _ADVICE["margin"])])
        case.spent["forwards"] += len(x)
        case.spent["backwards"] += len(x)
        sentence = (
            f"the gradient of the {loss} is zero or not finite for {share:.0%} of {len(x)} samples: an attack that "
            "follows it stands still, and what it leaves standing is not shown to be robust"
        )
        findings.append(
            graded(
                f"zero gradients of the {loss}", share, warn=0.01, fail=0.1, effects=("suspect", "masked"),
                sentence=sentence, advice=_ADVICE[loss],
            )
        )  # fmt: skip
    return Checked(findings)


def _moved(case: Case, x: Tensor, places: list[int]) -> Tensor:
    """Every second sample at a random point of the smallest ball."""
    threat = Threat("l2" if case.norm == "l1" else case.norm, min(case.epsilons), *case.box)
    seeds = [derive_seed(case.seed, "audit gradients", case.ids[place]) for place in places]
    away = random_point(x, threat, Draws(torch.tensor(seeds, dtype=torch.int64, device=x.device)), 0)
    moved = x.clone()
    moved[::2] = away[::2]
    return moved
