"""Does the model give the same answers again, whatever else is in its batch, and are they logits?"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.attacks.inputs import are_probabilities
from bench.attacks.padding import call_padded
from bench.audit.case import Case
from bench.audit.finding import RANDOM, Checked, Finding, graded
from bench.models.build import state_of

_MODES = (nn.modules.dropout._DropoutNd, nn.modules.batchnorm._NormBase)
"""Layers that do another thing in training."""
_TOGETHER = 12
"""Samples that are passed alone and together."""


def answers(case: Case, *, samples: int = 64) -> Checked:
    """Randomness and changes between passes, agreement between batches, evaluation mode, probabilities, range.

    Args:
        case: What to look at.
        samples: Samples to look at, at the most.

    Source: Athalye, Carlini, Wagner 2018, section 4.2 (randomness); Carlini et al. 2019, section 4; Pintor et al. 2022.
    """
    chosen = case.some(case.affordable(0.01, 3, least=min(16, samples), most=samples), case.correct | True)
    x, _ = case.batch(chosen)
    before = state_of(case.bare)
    first, again = case.logits(x), case.logits(x)
    changed = float(state_of(case.bare) != before)
    random = float((_spread(first, again) > 1e-4).float().mean())
    findings = [
        graded(
            RANDOM, random, warn=0.0, fail=0.0, effects=("suspect", "suspect"),
            sentence=f"the model is random: {random:.0%} of {len(x)} samples get other logits at the second pass, so "
                     "that a gradient is one draw of many and a verified example may fail at the next pass",
            advice="average the passes of each step (`eot: 20`), or run autoattack with `version: rand`",
        ),
        graded(
            "weights that change when called", changed, warn=0.0, fail=0.0, effects=("", ""),
            sentence="the model changes its own weights or buffers when it is called: what it answers may depend on "
                     "what it was asked before, by the attack too",
            advice="report the network as it is deployed, with its weights fixed, beside the one that adapts itself",
        ),
    ]  # fmt: skip
    if not random:
        findings += [_alone(case, x[:_TOGETHER]), _asked(case, x[:_TOGETHER])]
    findings += [_mode(case), _probabilities(first), _range(case, x)]
    return Checked(findings)


def _alone(case: Case, x: Tensor) -> Finding:
    """Whether samples get the same answers alone and together; at the same widths whatever the batch size."""
    try:
        differing = _spread(case.logits(x, at_once=True), torch.cat([case.logits(row[None]) for row in x])) > 1e-3
    except torch.OutOfMemoryError:
        said = f"memory does not hold {len(x)} samples at once"
        return Finding("answers that depend on the batch", 0.0, 0.0, "pass", sentence=said)
    share = float(differing.float().mean())
    return graded(
        "answers that depend on the batch", share, warn=0.0, fail=0.0, effects=("suspect", "suspect"),
        sentence=f"{share:.0%} of {len(x)} samples get other logits alone than in a batch of {len(x)}: an example is "
                 "adversarial only beside its neighbours",
        advice="set batch normalisation to evaluation mode inside the model",
    )  # fmt: skip


def _asked(case: Case, x: Tensor) -> Finding:
    """Whether samples get the same answers when gradients are asked for: attacks see those, and verification others."""
    differing = float((_spread(case.logits(x), asked(case, x)) > 1e-3).float().mean())
    return graded(
        "answers that depend on whether gradients are asked for", differing, warn=0.0, fail=0.0,
        effects=("masked", "masked"),
        sentence=f"{differing:.0%} of {len(x)} samples get other logits where gradients are asked for: attacks that "
                 "use them are led by another model than the one that is judged",
        advice="look for code that asks torch whether gradients are on, and attack what is deployed",
    )  # fmt: skip


def asked(case: Case, x: Tensor) -> Tensor:
    """The logits of a pass that could be differentiated, counted."""
    with torch.enable_grad():
        parts = case.batched(lambda part: call_padded(case.model, x[part].clone().requires_grad_()).detach(), len(x))
    case.spent["forwards"] += len(x)
    return torch.cat(parts)


def _spread(one: Tensor, other: Tensor) -> Tensor:
    """The largest difference between two answers, relative to the spread of the logits, shape (n,)."""
    return (one - other).abs().amax(1) / one.abs().amax(1).clamp_min(1e-12)


def _mode(case: Case) -> Finding:
    modules = case.bare.modules() if isinstance(case.bare, nn.Module) else ()
    training = sum(module.training for module in modules if isinstance(module, _MODES))
    return graded(
        "layers in training mode", float(training), warn=0, fail=0, effects=("suspect", "suspect"),
        sentence=f"{training} layers of dropout or batch normalisation are in training mode",
        advice="call eval() on the whole model, and do not turn it back in forward()",
    )  # fmt: skip


def _probabilities(logits: Tensor) -> Finding:
    found = len(logits) > 1 and are_probabilities(logits)
    return graded(
        "answers that are probabilities", float(found), warn=0, fail=0, effects=("suspect", "suspect"),
        sentence="the model returns probabilities where logits are expected: the cross-entropy takes their softmax "
                 "once more, which flattens its gradient",
        advice="leave out the model's last softmax, or return its logarithm",
    )  # fmt: skip


def _range(case: Case, x: Tensor) -> Finding:
    """The share of the box that the data leaves empty."""
    low, high = case.box
    empty = 1 - float((x.amax() - x.amin()) / (high - low)) if high - low < float("inf") else 0.0
    return graded(
        "share of the box without data", empty, warn=0.9, fail=0.9, effects=("suspect", "suspect"),
        sentence=f"the data lies in [{float(x.amin()):g}, {float(x.amax()):g}] and the declared range is "
        f"[{low:g}, {high:g}], so that epsilon may be in other units than the data",
        advice="declare the data's range (`range:`), and give epsilon in its units",
    )  # fmt: skip
