"""An attack of the evaluation, run again on a few samples with somebody looking over its shoulder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from bench.attacks.watching import Watch
from bench.audit.answers import asked
from bench.audit.case import Case, Chosen
from bench.audit.finding import Checked, Finding, graded
from bench.errors import NoGradientError

_FEWEST = 4
"""Samples from which a share of them says anything."""
_ENOUGH = 10
"""Passes from which it can be said whether an attack was still getting on."""


def watched(case: Case, *, name: str, options: Mapping[str, Any], cost: float, samples: int = 16) -> Checked:
    """Silent success, zero gradients along the way, a loss that does not rise, progress in the last steps.

    Args:
        case: What to attack.
        name: The attack, or a user's by import name.
        options: Its options.
        cost: Passes of the attack a sample, for how many samples can be afforded.
        samples: Samples to watch, at the most: those that stand nearest to the boundary.

    Source: Pintor et al. 2022, indicators 1, 3 and 4; Carlini et al. 2019, section 5.2.
    """
    level = len(case.epsilons) - 1
    if case.epsilons[level] == 0:
        return Checked([Finding("silent successes", 0.0, 0.0, "pass", sentence="a ball of one point")])
    chosen = case.nearest(case.affordable(0.02, cost, least=4, most=samples), level)
    if len(chosen) == 0:
        chosen = case.some(4, case.correct)
    if len(chosen) == 0:
        return Checked([Finding("silent successes", 0.0, 0.0, "pass", sentence="nothing to attack")])
    watch = Watch(len(chosen))
    try:
        tried = case.attack(name, chosen, case.epsilons[level], options, watch=watch, budget=case.budget)
    except NoGradientError as error:
        sentence = f"the attack could not run: {error}"
        return Checked([Finding("runs", 0.0, 1.0, "fail", "masked", sentence, "use attacks that need no gradient")])
    silent = watch.reached.numpy() & ~tried.broken
    if case.budget is not None:
        silent[:] = False  # what is returned then is the best point that passed through, whatever the attack does
    if silent.any() and _fickle(case, chosen):
        silent[:] = False  # the model says another thing at another pass, whatever the attack returns
    findings = [
        graded(
            "silent successes", float(silent.mean()), warn=0.0, fail=0.0, effects=("broken-attack", "broken-attack"),
            sentence=f"for {int(silent.sum())} of {len(chosen)} samples the attack asked about a point that is "
            "adversarial "
            f"and returned another that is not",
            advice="return the best point seen, and not the last",
        )
    ]  # fmt: skip
    if float(watch.gradients.sum()):
        zeros = float(watch.zeros.sum() / watch.gradients.sum())
        findings.append(
            graded(
                "zero gradients along the way", zeros, warn=0.01, fail=0.1, effects=("suspect", "masked"),
                sentence=f"{zeros:.0%} of the gradients that the attack got were zero or not finite",
                advice="attack with a loss that does not saturate, or over the stage that stops the gradient",
            )
        )  # fmt: skip
        findings += _progress(watch, tried.broken) if case.budget is None else []
    return Checked(findings)


def _fickle(case: Case, chosen: Chosen) -> bool:
    """Whether the model gives other answers at a second pass, or where gradients are asked for."""
    x, _ = case.batch(chosen)
    first = case.logits(x)
    return not torch.equal(first, case.logits(x)) or not torch.allclose(first, asked(case, x), rtol=1e-3, atol=1e-5)


def _progress(watch: Watch, broken: np.ndarray) -> list[Finding]:
    """Whether the margin rose at all, and whether it still did at the end, for samples that stand."""
    stuck, moving, looked = 0, 0, 0
    for sample in np.flatnonzero(~broken).tolist():
        best = torch.cummax(watch.history(sample), 0).values if watch.passes else torch.empty(0)
        # an attack that begins in a larger ball comes down from where it succeeded
        if len(best) < _ENOUGH or not watch.began_inside(sample):
            continue
        looked += 1
        rise = float(best[-1] - best[0])
        stuck += rise <= 0
        last = float(best[-1] - best[-1 - max(1, len(best) // 10)])
        moving += rise > 0 and last > 0.05 * rise
    if looked < _FEWEST:
        return []
    return [
        graded(
            "samples whose loss never rose", stuck / looked, warn=0.1, fail=0.5, effects=("suspect", "suspect"),
            sentence=f"for {stuck} of {looked} samples no step of the attack brought it nearer to the boundary than it "
            f"began",
            advice="look for masked gradients, or for a step of the wrong size or sign",
        ),
        graded(
            "samples still getting on at the end", moving / looked, warn=0.25, fail=0.75, effects=("", ""),
            sentence=f"for {moving} of {looked} samples the last tenth of the passes brought more than a twentieth "
                     "of all progress",
            advice="give the attack more steps",
        ),
    ]  # fmt: skip
