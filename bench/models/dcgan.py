"""Convolutional generators and discriminators of stacked MNIST, several of one shape side by side."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from bench.models import stacked
from bench.models.perceptrons import Law, uniform


def same_padding(size: int, side: int, stride: int) -> tuple[int, int, int, int]:
    """The zeros that make a convolution's output ceil(size / stride) wide, the odd one after; for all four edges.

    >>> same_padding(28, 5, 2), same_padding(7, 5, 2), same_padding(28, 3, 2), same_padding(7, 3, 2)
    ((1, 2, 1, 2), (2, 2, 2, 2), (0, 1, 0, 1), (1, 1, 1, 1))
    """
    total = max(0, (math.ceil(size / stride) - 1) * stride + side - size)
    before, after = total // 2, total - total // 2
    return before, after, before, after


class Generator(nn.Module):
    """A linear map to a small image, then transposed convolutions of stride 2, each with batch norm and ReLU.

    Args:
        latent: Length of a noise vector.
        law: Law of the noise that the first layer sees: ``normal``, or ``uniform`` in [-1, 1].
        sizes: Sides of the images, from the first to the last.
        channels: Channels of these images.
        side: Side of the filters.
        outputs: Channels of the result, in [-1, 1].
        last: ``transposed``: the last image is the result of a transposed convolution, without batch norm;
            ``convolution``: of a convolution of stride 1 after it.
        unit: Give images in [0, 1] when not training.
        decay: Share of batch norm's running statistics that a step keeps.
        networks: Networks in the stack.

    Attributes:
        latent_size: Length of a noise vector; noise is drawn from N(0, I).
    """

    def __init__(
        self,
        *,
        latent: int,
        law: Law,
        sizes: Sequence[int],
        channels: Sequence[int],
        side: int,
        outputs: int = 3,
        last: Literal["transposed", "convolution"] = "transposed",
        unit: bool = False,
        decay: float = 0.9,
        networks: int = 1,
    ) -> None:
        super().__init__()
        self.latent_size, self.law, self.unit = latent, law, unit
        self.first = (channels[0], sizes[0], sizes[0])
        self.project = stacked.Linear(networks, latent, math.prod(self.first))
        layers: list[nn.Module] = [stacked.BatchNorm(networks, channels[0], decay=decay), nn.ReLU()]
        widths = list(channels) if last == "convolution" else [*channels[:-1], outputs]
        for index, (before, after) in enumerate(itertools.pairwise(widths)):
            crop = same_padding(sizes[index + 1], side, 2)
            layers.append(stacked.TransposedConvolution(networks, before, after, side, stride=2, crop=crop))
            if last == "convolution" or index + 2 < len(widths):
                layers += [stacked.BatchNorm(networks, after, decay=decay), nn.ReLU()]
        if last == "convolution":
            padding = same_padding(sizes[-1], side, 1)
            layers.append(stacked.Convolution(networks, widths[-1], outputs, side, stride=1, padding=padding))
        self.layers = nn.Sequential(*layers, nn.Tanh())
        stacked.initialise(self)

    def forward(self, z: Tensor) -> Tensor:
        """Noise (networks, calls, n, latent) to images (networks, calls, n, outputs, side, side).

        Of one network, also noise (n, latent) to images (n, outputs, side, side).
        """
        if z.ndim == 2:
            return self(z[None, None])[0, 0]  # type: ignore[no-any-return]
        if self.law == "uniform":
            z = uniform(z)
        images: Tensor = self.layers(self.project(z).unflatten(-1, self.first))
        return (images + 1) / 2 if self.unit and not self.training else images


class Discriminator(nn.Module):
    """Convolutions of stride 2 with leaky ReLU, then a linear map to one logit; images of a pack are its channels.

    Args:
        inputs: Channels of a pack.
        size: Side of the images.
        channels: Channels of each convolution.
        side: Side of the filters.
        slope: Of the leaky ReLU.
        norm_first: Whether the first convolution has batch norm, as the others do.
        decay: Share of batch norm's running statistics that a step keeps.
        networks: Networks in the stack.
    """

    def __init__(
        self,
        *,
        inputs: int,
        size: int,
        channels: Sequence[int],
        side: int,
        slope: float,
        norm_first: bool,
        decay: float = 0.9,
        networks: int = 1,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for index, (before, after) in enumerate(itertools.pairwise([inputs, *channels])):
            padding = same_padding(size, side, 2)
            layers.append(stacked.Convolution(networks, before, after, side, stride=2, padding=padding))
            if norm_first or index > 0:
                layers.append(stacked.BatchNorm(networks, after, decay=decay))
            layers.append(nn.LeakyReLU(slope))
            size = math.ceil(size / 2)
        self.layers = nn.Sequential(*layers, nn.Flatten(3), stacked.Linear(networks, size * size * channels[-1], 1))
        stacked.initialise(self)

    def forward(self, packs: Tensor) -> Tensor:
        """Packs (networks, calls, n, channels, side, side) to logits (networks, calls, n).

        Each call's batch has its own statistics: real and made packs are two calls.
        """
        return self.layers(packs).squeeze(-1)  # type: ignore[no-any-return]


def dcgan_stacked(*, latent: int, width: int, unit: bool) -> Generator:
    """The generator of stacked MNIST in VEEGAN's setting, `width` being its last image's channels."""
    channels = [8 * width, 4 * width, 2 * width, width, 3]
    return Generator(latent=latent, law="uniform", sizes=[2, 4, 7, 14, 28], channels=channels, side=5, unit=unit)


def dcgan_small(*, latent: int, unit: bool) -> Generator:
    """The generator of stacked MNIST in the unrolled GAN's setting."""
    sizes, channels = [4, 7, 14, 28], [64, 32, 16, 8]
    return Generator(latent=latent, law="normal", sizes=sizes, channels=channels, side=3, last="convolution", unit=unit)
