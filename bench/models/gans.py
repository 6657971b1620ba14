"""The generator and the packed maxout discriminator of PacGAN's two-dimensional experiments."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn


class SlotBatchNorm(nn.Module):
    """Batch norm with statistics of each slot's own batch, and one running average over all slots.

    A packed GAN calls its generator once a slot, each call with its own batch statistics; the running
    statistics follow the mean over the calls. In training mode inputs have shape (slots, n, features), in
    evaluation mode (n, features), and the running statistics are used.
    """

    running_mean: Tensor
    running_variance: Tensor

    def __init__(self, features: int, *, decay: float = 0.95, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.decay, self.epsilon = decay, epsilon
        self.scale = nn.Parameter(torch.ones(features))
        self.shift = nn.Parameter(torch.zeros(features))
        self.register_buffer("running_mean", torch.zeros(features))
        self.register_buffer("running_variance", torch.ones(features))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise over the last dimension but one (training) or by the running statistics (evaluation)."""
        mean, variance = self.running_mean, self.running_variance
        if self.training:
            variance, mean = torch.var_mean(x, dim=-2, correction=0, keepdim=True)
            with torch.no_grad():
                features = x.shape[-1]
                self.running_mean.lerp_(mean.reshape(-1, features).mean(0), 1 - self.decay)
                self.running_variance.lerp_(variance.reshape(-1, features).mean(0), 1 - self.decay)
        factor = self.scale * torch.rsqrt(variance + self.epsilon)
        return x * factor + (self.shift - mean * factor)


class GridGenerator(nn.Module):
    """Noise to points: four bias-free linear layers with batch norm and ReLU, then a linear layer.

    Source: Lin et al. 2018, appendix, and its released configuration of the 2D grid.

    Attributes:
        latent_size: Length of a noise vector; noise is drawn from N(0, I).
    """

    def __init__(self, *, latent: int = 2, width: int = 400, depth: int = 4, outputs: int = 2) -> None:
        super().__init__()
        self.latent_size = latent
        sizes = [latent] + [width] * depth
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(sizes):
            layers += [nn.Linear(before, after, bias=False), SlotBatchNorm(after), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(width, outputs))
        _initialise(self)

    def forward(self, z: Tensor) -> Tensor:
        """Noise (n, latent), or (slots, n, latent) while training, to points of the same leading shape."""
        return self.layers(z)  # type: ignore[no-any-return]


class Maxout(nn.Module):
    """A linear layer whose units are maxima over `pieces` affine functions (Goodfellow et al. 2013)."""

    def __init__(self, inputs: int, units: int, pieces: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, units * pieces)
        self.pieces = pieces

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs) to (n, units)."""
        return self.linear(x).unflatten(1, (-1, self.pieces)).amax(2)  # type: ignore[no-any-return]


class PackedDiscriminator(nn.Module):
    """Judges `packing` points at once: three maxout layers and a linear one, no batch norm, no dropout.

    Only the first layer grows with `packing`. Source: Lin et al. 2018, section 3 and released configuration.
    """

    def __init__(self, *, packing: int = 1, inputs: int = 2, width: int = 200, pieces: int = 5) -> None:
        super().__init__()
        self.packing = packing
        sizes = [inputs * packing, width, width, width]
        hidden = [Maxout(before, after, pieces) for before, after in itertools.pairwise(sizes)]
        self.layers = nn.Sequential(*hidden, nn.Linear(width, 1))
        _initialise(self)

    def forward(self, packed: Tensor) -> Tensor:
        """Packed points (n, packing * inputs) to one logit a pack, shape (n,)."""
        return self.layers(packed).squeeze(1)  # type: ignore[no-any-return]


def _initialise(network: nn.Module) -> None:
    """Weights from N(0, 0.02^2), biases 0, as the experiments have it."""
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.02)
            if module.bias is not None:
                torch.nn.init.zeros_(module.bias)


def gan_grid(*, latent: int, width: int, depth: int) -> GridGenerator:
    """The generator of the two-dimensional experiments."""
    return GridGenerator(latent=latent, width=width, depth=depth)
