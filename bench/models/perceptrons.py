"""Fully connected generators and judges without batch norm, several of one shape side by side."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from bench.models import stacked
from bench.models.catalogue import Activation, Initial

Law = Literal["normal", "uniform"]

SLOPE = 0.01
"""Of the leaky ReLU."""
GAIN = 1.4
"""What orthogonal matrices are multiplied by."""

_ACTIVATIONS: dict[Activation, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "leaky-relu": nn.LeakyReLU}


class Perceptron(nn.Module):
    """Linear layers with an activation between them.

    Args:
        sizes: Features from the input to the output.
        activation: Between layers; a leaky ReLU has slope 0.01.
        initial: Law of the first weights: ``he``, N(0, 2 / inputs); ``glorot``, uniform with variance
            2 / (inputs + outputs); ``orthogonal``, times 1.4. Biases are 0.
        networks: Networks in the stack.
    """

    def __init__(self, sizes: Sequence[int], *, activation: Activation, initial: Initial, networks: int = 1) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(sizes):
            layer = stacked.Linear(networks, before, after)
            for weight in layer.weight.detach():
                _fill(weight, initial)
            layers += [layer, _ACTIVATIONS[activation]()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        """(networks, ..., sizes[0]) to (networks, ..., sizes[-1])."""
        return self.layers(x)  # type: ignore[no-any-return]


def _fill(weight: Tensor, initial: Initial) -> None:
    """Draw the first weights of one layer, shape (inputs, outputs)."""
    if initial == "he":
        nn.init.normal_(weight, std=math.sqrt(2 / len(weight)))
    elif initial == "glorot":
        nn.init.xavier_uniform_(weight)
    else:
        nn.init.orthogonal_(weight, gain=GAIN)


class Judge(nn.Module):
    """One number for each flattened sample.

    Args:
        inputs: Length of a flattened sample.
        width: Units of a hidden layer.
        depth: Hidden layers.
        activation: Between layers.
        initial: Law of the first weights.
    """

    def __init__(self, inputs: int, *, width: int, depth: int, activation: Activation, initial: Initial) -> None:
        super().__init__()
        self.layers = Perceptron([inputs, *[width] * depth, 1], activation=activation, initial=initial)

    def forward(self, x: Tensor) -> Tensor:
        """(networks, n, inputs) to (networks, n)."""
        return self.layers(x).squeeze(-1)  # type: ignore[no-any-return]


class PerceptronGenerator(nn.Module):
    """Noise to points or images by linear layers.

    Args:
        latent: Length of a noise vector.
        hidden: Units of the hidden layers.
        shape: Of a sample.
        activation: Between layers.
        initial: Law of the first weights.
        law: Law of the noise that the first layer sees: ``normal``, or ``uniform`` in [-1, 1].
        unit: Samples in [0, 1], by a sigmoid.

    Attributes:
        latent_size: Length of a noise vector; noise is drawn from N(0, I).
    """

    def __init__(
        self,
        *,
        latent: int,
        hidden: Sequence[int],
        shape: Sequence[int],
        activation: Activation,
        initial: Initial,
        law: Law = "normal",
        unit: bool = False,
    ) -> None:
        super().__init__()
        self.latent_size, self.shape, self.law, self.unit = latent, tuple(shape), law, unit
        self.layers = Perceptron([latent, *hidden, math.prod(shape)], activation=activation, initial=initial)

    def forward(self, z: Tensor) -> Tensor:
        """Noise (networks, calls, n, latent) to samples (networks, calls, n, *shape); of one network, (n, latent)."""
        if z.ndim == 2:
            return self(z[None, None])[0, 0]  # type: ignore[no-any-return]
        values = self.layers(uniform(z) if self.law == "uniform" else z)
        return (torch.sigmoid(values) if self.unit else values).unflatten(-1, self.shape)  # type: ignore[no-any-return]


def uniform(z: Tensor) -> Tensor:
    """Numbers uniform in [-1, 1] from ones of N(0, 1)."""
    return torch.erf(z * math.sqrt(0.5))


def gan_points(*, latent: int, width: int, depth: int, activation: Activation, initial: Initial) -> PerceptronGenerator:
    """A generator of points in the plane."""
    return PerceptronGenerator(
        latent=latent, hidden=[width] * depth, shape=(2,), activation=activation, initial=initial
    )


def gan_images(*, shape: Sequence[int], latent: int, hidden: Sequence[int]) -> PerceptronGenerator:
    """A generator of images in [0, 1] from uniform noise."""
    return PerceptronGenerator(
        latent=latent, hidden=hidden, shape=shape, activation="leaky-relu", initial="glorot", law="uniform", unit=True
    )
