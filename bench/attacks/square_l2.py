"""The pyramids that the square attack moves about under l2."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.linalg import vector_norm

from bench.attacks.draws import Draws
from bench.attacks.threat import Threat, per_sample, sizes


def pyramid(height: int, width: int) -> Tensor:
    """A bump that is highest in the middle, shape (height, width), float32.

    A pixel that lies j rings from the middle is sum of 1 / (i + 1)^2 for i from j to n, n being half the longer side.

    Source: Andriushchenko, Croce, Flammarion, Hein 2020, equation 2.

    >>> pyramid(3, 3)
    tensor([[0.2500, 0.2500, 0.2500],
            [0.2500, 1.2500, 0.2500],
            [0.2500, 0.2500, 0.2500]])
    """
    down, across = ((torch.arange(side) - side // 2).abs() for side in (height, width))
    heights = 1 / torch.arange(1, max(height, width) // 2 + 2).square()
    return heights.flip(0).cumsum(0).flip(0)[torch.maximum(down[:, None], across)]


def opposites(height: int, width: int) -> Tensor:
    """Windows that hold a pyramid in one half and a negative one in the other, of equal lengths, the window's being 1.

    Returns:
        A window cut across its rows and one cut across its columns, shape (2, height * width), float32; where a side
        is a single pixel, twice the one that can be cut; a single pixel is 1.

    Source: Andriushchenko, Croce, Flammarion, Hein 2020, section 4.2; that the halves weigh alike, the released code.

    >>> opposites(1, 3)[0]
    tensor([ 0.7071, -0.1387, -0.6934])
    """
    cut = []
    if height > 1:
        cut.append(torch.cat([_unit(height // 2, width), -_unit(height - height // 2, width)]))
    if width > 1:
        cut.append(torch.cat([_unit(height, width // 2), -_unit(height, width - width // 2)], 1))
    windows: Tensor = torch.stack(((cut or [torch.ones(1, 1)]) * 2)[:2]).flatten(1)
    return windows / sizes(windows, "l2")[:, None]


def _unit(height: int, width: int) -> Tensor:
    """A pyramid of length 1, shape (height, width)."""
    bump = pyramid(height, width)
    return bump.div_(vector_norm(bump))


def tiles(images: Tensor, threat: Threat, draws: Draws, stream: int) -> Tensor:
    """Points at the ball's edge whose perturbations are grids of pyramids with random signs.

    A tile's side is a fifth of the image's, rounded down.

    Args:
        images: Clean images, shape (n, channels, height, width).
        threat: Ball (``l2``) and box.
        draws: One seed an image.
        stream: Another number gives other points.

    Returns:
        Points, shape of `images`.

    Source: Andriushchenko, Croce, Flammarion, Hein 2020, section 4.2, and the released code.
    """
    count, channels, height, width = images.shape
    tall, wide = max(1, height // 5), max(1, width // 5)
    down, across = height // tall, width // wide
    numbers = draws.uniform((down, across, 1 + channels), stream)
    chosen = opposites(tall, wide).to(images)[numbers[..., 0].mul(2).long()]
    signs = torch.where(numbers[..., 1:] < 0.5, -1.0, 1.0).to(images).permute(0, 3, 1, 2)
    grid = chosen.reshape(count, 1, down, across, tall, wide) * signs[..., None, None]
    top, left = (height - down * tall) // 2, (width - across * wide) // 2
    delta = torch.zeros_like(images)
    delta[:, :, top : top + down * tall, left : left + across * wide] = grid.transpose(3, 4).reshape(
        count, channels, down * tall, across * wide
    )
    return threat.project(images + delta * per_sample(threat.epsilon / sizes(delta, "l2"), images), images)


def take_over(first: Tensor, second: Tensor, bumps: Tensor, unused: Tensor) -> tuple[Tensor, Tensor]:
    """The perturbation of a window that takes over another's, and what the ball has left.

    It keeps its direction, to which a bump is added, both at length 1.

    Args:
        first: Perturbation in the window that takes, shape (n, channels, pixels).
        second: Perturbation in the window that gives, 0 where the windows overlap, shape (n, channels, pixels).
        bumps: What to add to the first, of length 1 in each channel, shape (n, channels, pixels).
        unused: Squared radius less the squared length of the whole perturbation, shape (n, 1, 1).

    Returns:
        The perturbation in the first window, shape (n, channels, pixels), and its squared length in each channel,
        shape (n, channels, 1): with it, the ball is used up.

    Source: Andriushchenko, Croce, Flammarion, Hein 2020, algorithm 3.

    >>> take_over(
    ...     torch.tensor([[[3.0, 0.0]]]), torch.tensor([[[0.0, 4.0]]]), torch.tensor([[[0.0, 1.0]]]),
    ...     torch.tensor([[[7.0]]]),
    ... )
    (tensor([[[4., 4.]]]), tensor([[[32.]]]))
    """
    tiny = torch.finfo(first.dtype).tiny
    length = vector_norm(first, dim=2, keepdim=True)
    whole = length.square() + vector_norm(second, dim=2, keepdim=True).square()
    whole.add_(unused, alpha=1 / first.shape[1]).clamp_min_(0)
    taken = torch.addcdiv(bumps, first, length.clamp_min_(tiny))
    return taken.mul_(whole.sqrt().div_(vector_norm(taken, dim=2, keepdim=True).clamp_min_(tiny))), whole
