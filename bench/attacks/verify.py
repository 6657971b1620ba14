"""A second look at adversarial examples, by code that shares nothing with the attacks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.attacks.padding import call_padded
from bench.attacks.threat import Norm, Threat
from bench.errors import ModelError

TOLERANCE = 1e-6
"""How far outside the ball or the box a point may lie, relative to the radius and the range: float32 rounding."""


@dataclass(frozen=True)
class Verified:
    """What holds for each example, on the CPU.

    Attributes:
        valid: The example is finite, inside the ball and inside the box, shape (n,).
        reached: It is misclassified, or classified as the target where there is one, shape (n,).
        margin: Largest other logit minus the label's (the target's minus the largest other), shape (n,).
        confidence: Largest softmax probability, shape (n,).
        distance: Norm of the perturbation, shape (n,).
    """

    valid: Tensor
    reached: Tensor
    margin: Tensor
    confidence: Tensor
    distance: Tensor


def check_logits(logits: Tensor, count: int, labels: Tensor | None) -> None:
    """Complain about outputs that are not logits of `count` samples.

    Raises:
        ModelError: Wrong shape, fewer classes than labels, or values that are not finite.
    """
    if not isinstance(logits, Tensor) or logits.ndim != 2 or logits.shape[0] != count:
        found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ModelError(f"expected the model to return logits of shape ({count}, classes), found {found}")
    if labels is not None and int(labels.max()) >= logits.shape[1]:
        raise ModelError(
            f"the model returns {logits.shape[1]} classes, but the data has labels up to {int(labels.max())}; "
            f"expected at least {int(labels.max()) + 1} classes"
        )
    bad = ~torch.isfinite(logits).all(1)
    if bool(bad.any()):
        raise ModelError(f"the model returned NaN or infinite logits for {int(bad.sum())} of {count} inputs")


def _distance(examples: Tensor, x: Tensor, norm: Norm) -> Tensor:
    """The norm of each perturbation, shape (n,); sums in float64."""
    if norm == "linf":
        return (examples - x).flatten(1).abs().amax(1)
    delta = (examples.double() - x.double()).flatten(1)
    return delta.square().sum(1).sqrt() if norm == "l2" else delta.abs().sum(1)


def verify(
    model: Callable[[Tensor], Tensor],
    x: Tensor,
    labels: Tensor,
    examples: Tensor,
    *,
    threat: Threat,
    targets: Tensor | None = None,
) -> Verified:
    """Judge examples from their numbers alone: norm, box, finite values and the model's answer.

    Args:
        model: Inputs to logits (n, classes).
        x: Clean inputs, shape (n, ...).
        labels: True classes, shape (n,).
        examples: What an attack returned for them, shape of `x`.
        threat: Ball and box they must lie in.
        targets: Classes to reach, shape (n,), or None.

    Raises:
        ModelError: The model does not return finite logits for valid examples.
    """
    distance = _distance(examples, x, threat.norm)
    flat = examples.flatten(1)
    span = threat.high - threat.low
    slack = TOLERANCE * (span if span < float("inf") else 1.0)
    inside = (flat >= threat.low - slack).all(1) & (flat <= threat.high + slack).all(1)
    # each of many float32 differences is rounded: their sum by more than a single one
    terms = {"linf": 1.0, "l2": flat.shape[1] ** 0.5, "l1": flat.shape[1] / 16}[threat.norm]
    reach = threat.epsilon * (1 + TOLERANCE) + slack * max(1.0, terms)
    valid = torch.isfinite(flat).all(1) & inside & (distance <= reach)
    safe = torch.where(valid.reshape(-1, *[1] * (x.ndim - 1)), examples, x)
    with torch.inference_mode():
        logits = call_padded(model, safe)
    check_logits(logits, len(x), labels)
    answer = logits.argmax(1)
    wanted = labels if targets is None else targets
    own = logits[torch.arange(len(x), device=logits.device), wanted]
    rest = logits.clone()
    rest[torch.arange(len(x), device=logits.device), wanted] = -torch.inf
    other = rest.amax(1)
    return Verified(
        valid=valid.cpu(),
        reached=(valid & (answer != labels if targets is None else answer == targets)).cpu(),
        margin=(other - own if targets is None else own - other).cpu(),
        confidence=logits.softmax(1).amax(1).cpu(),
        distance=distance.float().cpu(),
    )
