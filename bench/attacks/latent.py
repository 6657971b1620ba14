"""The latent attack on autoencoders: make one image's code come near another's."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bench.attacks.draws import Draws
from bench.models.interfaces import Encoder


def latent(
    model: Encoder,
    x: Tensor,
    target: Tensor,
    *,
    low: float,
    high: float,
    draws: Draws,
    trade_off: Sequence[float],
    steps: int,
    learning_rate: float,
) -> Tensor:
    """Minimise code distance + trade-off * squared distortion, inside the box, for each trade-off.

    The code distance is KL(q(z|x+d) || q(z|target)) where codes are Gaussians, the squared Euclidean distance
    otherwise. There is no norm ball: the trade-off alone sets how far an image may move. All trade-offs are run as
    one batch; the objective is divided by 1 + trade-off, which keeps one learning rate fit for all of them, and the
    best point seen is returned.

    Args:
        model: An autoencoder with `encode`, or `encode_distribution` for Gaussian codes.
        x: Images to move, shape (n, ...), inside the box.
        target: Images whose codes to reach, shape of `x`.
        low: Smallest valid pixel value.
        high: Largest valid pixel value.
        draws: One seed a pair, for the start within 1e-8 of the image.
        trade_off: Weights C of the distortion, at least 0.
        steps: Adam steps.
        learning_rate: Adam's rate.

    Returns:
        Moved images, shape (len(trade_off), n, ...).

    Source: Tabacof, Tavares, Valle 2016, section 3, with the KL divergence in its full form; Adam as in
    Gondim-Ribeiro, Tabacof, Valle 2018, instead of L-BFGS-B.
    """
    count, weights = len(trade_off), x.new_tensor(list(trade_off)).repeat_interleave(len(x))
    origin = x.repeat(count, *[1] * (x.ndim - 1))
    start = (draws.uniform(tuple(x.shape[1:]), 0) * 2 - 1) * 1e-8
    delta = start.repeat(count, *[1] * (x.ndim - 1)).requires_grad_()
    with torch.no_grad():
        wanted = tuple(part.repeat(count, 1) for part in code(model, target))
    optimiser = torch.optim.Adam([delta], lr=learning_rate)
    best, best_value = origin.clone(), weights.new_full(weights.shape, torch.inf)
    for step in range(steps + 1):
        with torch.enable_grad():
            moved = (origin + delta).clamp(low, high)
            distortion = (moved - origin).flatten(1).square().sum(1)
            value = (code_distance(code(model, moved), wanted) + weights * distortion) / (1 + weights)
        with torch.no_grad():
            better = value < best_value
            best[better], best_value[better] = moved[better], value[better]
        if step < steps:
            (delta.grad,) = torch.autograd.grad(value.sum(), delta)
            optimiser.step()
            with torch.no_grad():
                delta.copy_((origin + delta).clamp(low, high) - origin)
    return best.reshape(count, *x.shape)


def code(model: Encoder, x: Tensor) -> tuple[Tensor, ...]:
    """The code of each image: (mean, log variance) where it is a Gaussian, (code,) otherwise; each (n, latent)."""
    if hasattr(model, "encode_distribution"):
        mean, log_variance = model.encode_distribution(x)
        return mean, log_variance
    return (model.encode(x).flatten(1),)


def code_distance(codes: tuple[Tensor, ...], wanted: tuple[Tensor, ...]) -> Tensor:
    """KL(codes || wanted) for Gaussians, the squared Euclidean distance otherwise; shape (n,).

    >>> zero, one = torch.zeros(1, 2), torch.ones(1, 2)
    >>> code_distance((zero, zero), (one, zero)), code_distance((zero,), (one,))
    (tensor([1.]), tensor([2.]))
    """
    if len(codes) == 1:
        return (codes[0] - wanted[0]).square().sum(1)
    (mean, log_variance), (other, other_log) = codes, wanted
    ratio = (log_variance - other_log).exp() + (mean - other).square() * (-other_log).exp()
    return 0.5 * (other_log - log_variance + ratio - 1).sum(1)
