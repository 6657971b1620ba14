"""The nearest point of an l1 ball cut by the box of valid inputs."""

from __future__ import annotations

import torch
from torch import Tensor


def project_l1(delta: Tensor, origin: Tensor, epsilon: float | Tensor, low: float, high: float) -> Tensor:
    """The perturbation nearest to `delta` with l1 norm at most `epsilon` that leaves `origin` inside the box.

    By Lagrange's rule each entry is `delta`'s, shrunk by one threshold a sample and cut to the room the box leaves.
    The norm falls piecewise linearly in the threshold, so sorting its corners finds it exactly. Cutting to the ball
    and then to the box, which is simpler, lands inside the ball and loses much of the radius where images touch
    the box.

    Args:
        delta: Perturbations, shape (n, ...).
        origin: Clean inputs inside the box, shape of `delta`.
        epsilon: Radius, or one a sample, shape (n,).
        low: Smallest valid input value.
        high: Largest valid input value.

    Source: Croce and Hein 2021 ("Mind the box"), proposition 2.1.

    >>> project_l1(torch.tensor([[3.0, 1.0]]), torch.tensor([[0.0, 0.0]]), 2.0, 0.0, 1.5)
    tensor([[1.5000, 0.5000]])
    """
    wanted, start = delta.flatten(1).double(), origin.flatten(1).double()
    room = torch.where(wanted > 0, high - start, start - low).clamp_min(0)
    size = wanted.abs()
    radius = torch.as_tensor(epsilon, dtype=torch.float64, device=delta.device).expand(len(delta))
    # an entry gives way from threshold size - room on, and is gone at threshold size
    corners = torch.cat([(size - room).clamp_min(0), size], 1)
    slopes = torch.cat([-torch.ones_like(size), torch.ones_like(size)], 1)
    corners, order = corners.sort(1)
    slopes = slopes.gather(1, order).cumsum(1)
    at_zero = torch.minimum(size, room).sum(1, keepdim=True)
    falls = slopes[:, :-1] * corners.diff(dim=1)
    norms = torch.cat([at_zero, at_zero + falls.cumsum(1)], 1)
    # the last corner whose norm is still above the radius begins the stretch that crosses it
    last = ((norms > radius[:, None]).sum(1, keepdim=True) - 1).clamp_min(0)
    excess = norms.gather(1, last).squeeze(1) - radius
    slope = -slopes.gather(1, last).squeeze(1).clamp_max(-1)
    threshold = corners.gather(1, last).squeeze(1) + excess / slope
    threshold = torch.where(at_zero.squeeze(1) <= radius, 0.0, threshold)
    kept = torch.minimum((size - threshold[:, None]).clamp_min(0), room)
    return (kept * wanted.sign()).to(delta.dtype).reshape(delta.shape)
