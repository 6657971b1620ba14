"""The networks of PacGAN's two-dimensional experiments, several of one shape side by side."""

from __future__ import annotations

import itertools

from torch import Tensor, nn

from bench.models import stacked


class GridGenerator(nn.Module):
    """Noise to points: four bias-free linear layers with batch norm and ReLU, then a linear layer.

    Source: Lin et al. 2018, appendix, and its released configuration of the 2D grid.

    Args:
        latent: Length of a noise vector.
        width: Units of a hidden layer.
        depth: Hidden layers.
        outputs: Length of a point.
        networks: Networks in the stack.

    Attributes:
        latent_size: Length of a noise vector; noise is drawn from N(0, I).
    """

    def __init__(
        self, *, latent: int = 2, width: int = 400, depth: int = 4, outputs: int = 2, networks: int = 1
    ) -> None:
        super().__init__()
        self.latent_size = latent
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise([latent] + [width] * depth):
            layers += [
                stacked.Linear(networks, before, after, bias=False),
                stacked.BatchNorm(networks, after),
                nn.ReLU(),
            ]
        self.layers = nn.Sequential(*layers, stacked.Linear(networks, width, outputs))
        stacked.initialise(self)

    def forward(self, z: Tensor) -> Tensor:
        """Noise (networks, calls, n, latent) to points of the same leading shape; of one network, also (n, latent)."""
        if z.ndim == 2:
            return self(z[None, None])[0, 0]  # type: ignore[no-any-return]
        return self.layers(z)  # type: ignore[no-any-return]


class PackedDiscriminator(nn.Module):
    """Judges `packing` points at once: three maxout layers and a linear one, no batch norm, no dropout.

    Only the first layer grows with `packing`. Source: Lin et al. 2018, section 3 and released configuration.
    """

    def __init__(
        self, *, packing: int = 1, inputs: int = 2, width: int = 200, pieces: int = 5, networks: int = 1
    ) -> None:
        super().__init__()
        self.packing = packing
        sizes = [inputs * packing, width, width, width]
        hidden = [stacked.Maxout(networks, before, after, pieces) for before, after in itertools.pairwise(sizes)]
        self.layers = nn.Sequential(*hidden, stacked.Linear(networks, width, 1))
        stacked.initialise(self)

    def forward(self, packed: Tensor) -> Tensor:
        """Packed points (networks, n, packing * inputs) to one logit a pack, shape (networks, n)."""
        return self.layers(packed).squeeze(-1)  # type: ignore[no-any-return]


def gan_grid(*, latent: int, width: int, depth: int) -> GridGenerator:
    """The generator of the two-dimensional experiments."""
    return GridGenerator(latent=latent, width=width, depth=depth)
