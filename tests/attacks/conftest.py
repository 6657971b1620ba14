"""Small models with known answers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn


class Linear(nn.Module):
    """Logits W x + b on flattened inputs."""

    def __init__(self, inputs: int, classes: int, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.weight = nn.Parameter(torch.randn(classes, inputs, generator=generator), requires_grad=False)
        self.bias = nn.Parameter(torch.randn(classes, generator=generator), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.weight.T + self.bias


class Curved(nn.Module):
    """A small network with fixed random weights, for properties that need no closed form.

    Its widths are multiples of eight: with odd ones, matrix kernels round by the position of a row in its batch.
    """

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.first = nn.Parameter(torch.randn(32, 16, generator=generator) / 4, requires_grad=False)
        self.second = nn.Parameter(torch.randn(8, 32, generator=generator) / 5, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x.flatten(1) @ self.first.T) @ self.second.T


@pytest.fixture
def linear() -> Callable[[int, int, int], Linear]:
    return lambda inputs, classes, seed: Linear(inputs, classes, seed).eval()


@pytest.fixture
def curved() -> Curved:
    return Curved().eval()


@pytest.fixture
def images() -> tuple[Tensor, Tensor]:
    """Forty 1x4x4 images in [0, 1] with the labels the curved network gives them, save every fifth."""
    x = torch.rand(40, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    y = Curved()(x).argmax(1)
    y[::5] = (y[::5] + 1) % 8
    return x, y
