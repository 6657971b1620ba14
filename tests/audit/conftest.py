"""Cases to audit: small networks under attacks that were run for real."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bench.attacks.attack import Attack
from bench.attacks.catalogue import ATTACKS
from bench.attacks.curve import curve
from bench.attacks.threat import Norm, Threat
from bench.attacks.verify import verify
from bench.audit.case import Case

PGD = ("pgd", {"steps": 20})


class Net(nn.Module):
    """A small network with fixed random weights on 1x8x8 images; sixteen classes."""

    def __init__(self, scale: float = 6.0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(5)
        self.first = nn.Parameter(torch.randn(64, 64, generator=generator) / 8, requires_grad=False)
        self.second = nn.Parameter(scale * torch.randn(16, 64, generator=generator) / 8, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh((x.flatten(1) - 0.5) @ self.first.T * 3) @ self.second.T


class Hidden(nn.Module):
    """The network behind a function of the input, and before one of its logits."""

    def __init__(
        self, before: Callable[[Tensor], Tensor] = lambda x: x, after: Callable[[Tensor], Tensor] = lambda z: z
    ) -> None:
        super().__init__()
        self.net, self.before, self.after = Net(), before, after

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.net(self.before(x)))


def make_case(
    model: Callable[[Tensor], Tensor],
    *,
    epsilons: Sequence[float] = (0.004, 0.01),
    norm: Norm = "linf",
    attacks: Sequence[tuple[str, dict[str, Any]]] = (PGD,),
    count: int = 200,
    box: tuple[float, float] = (0.0, 1.0),
    width: int = 500,
) -> Case:
    """A model on images that the network behind it gets right, but for every tenth, under some attacks."""
    x = torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(2))
    y = Net()(x).argmax(1)
    y[::10] = (y[::10] + 1) % 16
    ids = [f"s{index}" for index in range(count)]
    with torch.no_grad():
        correct = (model(x).argmax(1) == y).numpy()
    rows = np.flatnonzero(correct)
    broken = np.repeat(~correct[None], len(epsilons), 0)
    margin = np.full(broken.shape, -np.inf, np.float32)
    passes, fell = 0.0, []
    for name, options in attacks:
        method = Attack(name, Threat(norm, max(epsilons), *box), 0, ATTACKS[name].options(**options).model_dump())
        found = curve(method, model, x[rows], y[rows], epsilons=epsilons, ids=[ids[row] for row in rows])
        reached = np.zeros_like(broken)
        for level, epsilon in enumerate(found.epsilons):
            seen = verify(model, x[rows], y[rows], found.examples[level], threat=Threat(norm, epsilon, *box))
            reached[level, rows] = seen.reached.numpy()
            margin[level, rows] = np.maximum(margin[level, rows], seen.margin.numpy())
        broken |= reached
        fell.append(reached)
        passes += float(found.forwards.sum() + 2 * found.backwards.sum())
    return Case(
        model=model,
        bare=model,
        batch=lambda chosen: (x[torch.from_numpy(chosen)], y[torch.from_numpy(chosen)]),
        ids=ids,
        norm=norm,
        epsilons=sorted(epsilons),
        box=box,
        seed=0,
        correct=correct,
        broken=broken,
        margin=margin,
        passes=passes,
        fell=fell,
        batched=lambda function, count: [
            function(slice(start, min(start + width, count))) for start in range(0, count, width)
        ],
    )


@pytest.fixture
def case_of() -> Callable[..., Case]:
    return make_case


@pytest.fixture
def hidden() -> type[Hidden]:
    return Hidden
