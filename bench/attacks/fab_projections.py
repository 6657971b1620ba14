"""The shortest way to a hyperplane that does not leave the box of valid inputs."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.attacks.ascent import pace
from bench.attacks.threat import Norm

_NEWTON_STEPS = 40
"""At the most. Each cuts the product of what is left and its slope to a quarter or less, which float32 does not resolve
for longer; images take five to fifteen."""
_HALVINGS = 30


def to_plane(points: Tensor, normal: Tensor, gap: Tensor, *, norm: Norm, low: float, high: float) -> Tensor:
    """The perturbation of smallest norm that brings each point onto its hyperplane and keeps it in the box.

    The perturbations d that end on the hyperplane have ``sum(normal * d) == gap``. Every entry moves the way that
    closes the gap, as far as the norm asks and the box lets it: all by the same length under ``linf``, in proportion
    to the normal under ``l2``, the steepest first under ``l1``. Where no point of the box lies on the hyperplane, all
    entries go as far as the box. Entries with no slope stay, and so does a point whose normal is zero.

    Args:
        points: Points inside the box, shape (n, ...).
        normal: Normals of the hyperplanes, shape of `points`.
        gap: How much the linear function has to change, shape (n,).
        norm: ``linf``, ``l2`` or ``l1``.
        low: Smallest valid input value; may be infinite.
        high: Largest valid input value; may be infinite.

    Returns:
        The perturbations, shape of `points`, exact to the rounding of their type.

    Source: Croce and Hein 2020 (FAB), section 2.2, for the problem; the solutions follow from Lagrange's rule.

    >>> point, normal = torch.tensor([[0.5, 0.9]]), torch.tensor([[1.0, 2.0]])
    >>> to_plane(point, normal, torch.tensor([0.4]), norm="linf", low=0.0, high=1.0)
    tensor([[0.2000, 0.1000]])
    """
    # On a CPU torch.where and comparisons cost thirty times what arithmetic does: choices are products with signs here.
    start, slope = points.flatten(1), normal.flatten(1)
    limits = torch.finfo(slope.dtype)
    # the scale of the normal does not matter, but its squares would underflow
    steepness = slope.abs()
    scale = steepness.amax(1, keepdim=True).clamp_min_(limits.tiny)
    steepness.div_(scale)
    sign = slope.sign().mul_(gap.sign()[:, None])
    need = gap.abs()[:, None] / scale
    # wide instead of infinite: entries without slope multiply it by zero, and sums must not overflow
    wide = limits.max * 2.0**-40
    room = (min(high, wide) - start).mul_(sign)
    room = torch.maximum(room, (max(low, -wide) - start).mul_(sign)).clamp_min_(0)
    if norm == "l1":
        moved = _steepest_first(steepness, room, need)
    else:
        moved = _together(steepness, steepness if norm == "l2" else torch.ones_like(need), room, need)
    return moved.mul_(sign).reshape(points.shape)


def _together(steepness: Tensor, speed: Tensor, room: Tensor, need: Tensor) -> Tensor:
    """How far each entry moves when all move at once, each at its speed until its room is used up, shape (n, d).

    What they gain together is concave and piecewise linear in time, so that Newton's steps come from before the
    answer and are exact once they are on its stretch.

    Args:
        steepness: What an entry gains by a unit of its way, shape (n, d).
        speed: Shape (n, d) or (n, 1).
        room: Shape (n, d).
        need: What is to be gained, shape (n, 1).
    """
    rate, full = steepness * speed, steepness * room
    time, never = torch.zeros_like(need), torch.finfo(need.dtype).max
    every = pace(need.device)
    for step in range(1, _NEWTON_STEPS + 1):
        moving = (room - speed * time).sign_().clamp_min_(0)
        slope = (moving * rate).sum(1, keepdim=True)
        left = need - moving.neg_().add_(1).mul_(full).sum(1, keepdim=True)
        ahead = torch.where(slope > 0, left / slope, never).clamp_max_(never)
        if step % every == 0 and not bool((ahead > time).any()):
            break
        time = torch.maximum(time, ahead)
    return torch.minimum(speed * time, room)


def _steepest_first(steepness: Tensor, room: Tensor, need: Tensor) -> Tensor:
    """How far each entry moves when the steepest use up their room first, shape (n, d); arguments as above.

    Halving finds the steepness down to which all room is needed, a third of the time that sorting takes; entries it
    does not tell apart share what is left, which costs nothing where they are equally steep.
    """
    full = steepness * room
    below, above = torch.zeros_like(need), torch.ones_like(need)
    for _ in range(_HALVINGS):
        middle = (below + above) / 2
        enough = (steepness - middle).sign_().clamp_min_(0).mul_(full).sum(1, keepdim=True) >= need
        below, above = torch.where(enough, middle, below), torch.where(enough, above, middle)
    first = (steepness - above).sign_().clamp_min_(0)
    last = (steepness - below).sign_().clamp_min_(0).sub_(first)
    left, most = need - (first * full).sum(1, keepdim=True), (last * full).sum(1, keepdim=True)
    share = torch.where(most > 0, left / most, 0.0).clamp_(0, 1)
    return first.addcmul_(last, share).mul_(room)
