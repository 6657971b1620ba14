"""A tiny network, what masks it, and a case to audit it in.

Every mask hides some samples and not others: a check that looks at too little or at too much finds another number of
them. Attacks have no part in a case, so that figures of checks change with the checks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from bench.attacks.threat import Norm
from bench.audit.case import Case

RADII: Mapping[Norm, tuple[float, float]] = {"linf": (0.001, 0.004), "l2": (0.005, 0.02), "l1": (0.015, 0.06)}


def scattered(*shape: int) -> Tensor:
    """Numbers in [0, 1) without a pattern that a network could see; exact in any arithmetic."""
    count = torch.arange(torch.Size(shape).numel())
    return ((count * count * 4241 + count * 37) % 10007 / 10007).reshape(shape)


class Net(nn.Module):
    """Eight logits of a 1x6x6 image; `before` and `after` mask the network."""

    def __init__(
        self, before: Callable[[Tensor], Tensor] | None = None, after: Callable[[Tensor], Tensor] | None = None
    ) -> None:
        super().__init__()
        weights = 2 * scattered(44, 48) - 1
        self.first, self.second = weights[:36], weights[36:].T
        self.before, self.after = before, after
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        x = x if self.before is None else self.before(x)
        logits = torch.tanh((x.flatten(1) - 0.5) @ self.first) @ self.second
        return logits if self.after is None else self.after(logits)


def strength(x: Tensor) -> Tensor:
    """From 1 down to 1e-7 by the first pixel, shape (n, 1)."""
    return 10 ** (-7 * x[:, 0, 0, :1])


class Flickering(Net):
    """Other logits at every second pass, for some samples by more than for others; it counts its passes."""

    passes: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("passes", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        self.passes += 1
        logits: Tensor = super().forward(x) * (1 + strength(x) * (int(self.passes) % 2))
        return logits


class Fickle(Net):
    """Other logits beside another first neighbour, and others where gradients are asked for."""

    def forward(self, x: Tensor) -> Tensor:
        same = (x == x[:1]).flatten(1).all(1)
        return super().forward(x) * (1 + strength(x) * (~same[:, None] + 2.0 * x.requires_grad))


class Shelled(Net):
    """Every image is wrong in a thin shell around it, and right beyond, as far as no other image is nearer."""

    def forward(self, x: Tensor) -> Tensor:
        images, classes = inputs(120)
        away, nearest = (x.flatten(1)[:, None] - images.flatten(1)).abs().amax(2).min(1)
        right = nn.functional.one_hot(classes[nearest], 8)
        inside = ((away > 0.0004) & (away < 0.0006))[:, None]
        return super().forward(x) + 100 * torch.where(inside, right.roll(1, 1), right * (away > 0.0006)[:, None])


def half(x: Tensor) -> Tensor:
    """The gradient stops for samples whose first pixel is above a half."""
    return torch.where(x[:, :, :1, :1] > 0.5, x.detach(), x)


def resting(x: Tensor) -> Tensor:
    """The gradient stops at the images themselves."""
    away = (x.flatten(1)[:, None] - inputs(120)[0].flatten(1)).abs().amax(2).amin(1)
    return torch.where(away.reshape(-1, 1, 1, 1) == 0, x.detach(), x)


def stopped(x: Tensor) -> Tensor:
    return x.detach() + 0 * x


def cut(x: Tensor) -> Tensor:
    return x.detach()


class Rounded(nn.Module):
    """A stage that nobody declares."""

    def forward(self, x: Tensor) -> Tensor:
        return (255 * x).round() / 255


def softmax(logits: Tensor) -> Tensor:
    return logits.softmax(1)


def saturated_softmax(logits: Tensor) -> Tensor:
    return (100 * logits).softmax(1)


def scaled(factor: float) -> Callable[[Tensor], Tensor]:
    return lambda logits: factor * logits


def inputs(count: int) -> tuple[Tensor, Tensor]:
    """Images, and classes of which every tenth is wrong."""
    x = scattered(count, 1, 6, 6)
    y = Net()(x).argmax(1)
    y[::10] = (y[::10] + 1) % 8
    return x, y


def case_of(
    model: Callable[[Tensor], Tensor],
    *,
    norm: Norm = "linf",
    times: float = 1.0,
    count: int = 120,
    box: tuple[float, float] = (0.0, 1.0),
    targeted: bool = False,
    bpda: bool = False,
) -> Case:
    """A model after an evaluation whose one attack moved every pixel by a fixed pattern."""
    x, y = inputs(count)
    epsilons = [radius * times for radius in RADII[norm]]
    with torch.no_grad():
        correct = (model(x).argmax(1) == y).numpy()
    case = Case(
        model=model,
        bare=model,
        batch=lambda chosen: (x[torch.from_numpy(chosen)], y[torch.from_numpy(chosen)]),
        ids=[f"s{index}" for index in range(count)],
        norm=norm,
        epsilons=epsilons,
        box=box,
        seed=0,
        correct=correct,
        broken=np.repeat(~correct[None], 2, 0),
        margin=np.full((2, count), -np.inf, np.float32),
        passes=400.0 * count,
        batched=lambda function, count: [function(slice(0, count))] if count else [],
        bpda=bpda,
        targets=((y + 1) % 8).numpy() if targeted else None,
    )
    pattern = (scattered(count, 1, 6, 6).flip(0) - 0.5).sign() / {"linf": 1, "l2": 6, "l1": 36}[norm]
    for level, epsilon in enumerate(epsilons):
        moved = (x + epsilon * pattern).clamp(*box)
        seen = case.verified(np.arange(count), moved, epsilon)
        case.broken[level] |= seen.reached.numpy()
        case.margin[level] = seen.margin.numpy()
    case.fell = [case.broken & correct]
    case.spent = {"forwards": 0.0, "backwards": 0.0}
    return case


def few(case: Case, count: int) -> Case:
    """A case that the attacks left only so many samples of: those nearest to the boundary."""
    left = case.nearest(count, 1)
    case.broken[:] = True
    case.broken[:, left] = False
    return case
