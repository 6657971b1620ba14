"""Reference autoencoders of images in [0, 1]."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from torch import Tensor, nn


def _network(sizes: Sequence[int]) -> nn.Sequential:
    """Linear layers with a ReLU between each two."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class Autoencoder(nn.Module):
    """A deterministic autoencoder: `encode` gives codes (n, latent), `decode` images in [0, 1].

    Attributes:
        latent_size: Length of a code.
    """

    def __init__(self, *, shape: Sequence[int], hidden: Sequence[int], latent: int) -> None:
        super().__init__()
        self.shape = tuple(shape)
        self.latent_size = latent
        size = math.prod(self.shape)
        self.encoder = _network([size, *hidden, self._code_size()])
        self.decoder = _network([latent, *reversed(hidden), size])

    def _code_size(self) -> int:
        return self.latent_size

    def encode(self, x: Tensor) -> Tensor:
        """Codes, shape (n, latent)."""
        return self.encoder(x.flatten(1))  # type: ignore[no-any-return]

    def decode_logits(self, z: Tensor) -> Tensor:
        """Images before the sigmoid, shape (n, *shape)."""
        return self.decoder(z).reshape(-1, *self.shape)  # type: ignore[no-any-return]

    def decode(self, z: Tensor) -> Tensor:
        """Images in [0, 1], shape (n, *shape)."""
        return self.decode_logits(z).sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Reconstructions of `x`, through the mean code where the code is a distribution."""
        return self.decode(self.encode(x))


class VariationalAutoencoder(Autoencoder):
    """A Gaussian-code, Bernoulli-pixel variational autoencoder (Kingma and Welling 2014).

    Called on codes drawn from N(0, I), `decode` makes new images: it is a generator as well.
    """

    def _code_size(self) -> int:
        return 2 * self.latent_size

    def encode_distribution(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z|x), each of shape (n, latent)."""
        mean, log_variance = self.encoder(x.flatten(1)).chunk(2, dim=1)
        return mean, log_variance

    def encode(self, x: Tensor) -> Tensor:
        """The mean of q(z|x), shape (n, latent)."""
        return self.encode_distribution(x)[0]


def autoencoder(*, shape: Sequence[int], hidden: Sequence[int], latent: int) -> Autoencoder:
    """A deterministic autoencoder with mirrored ReLU networks on both sides."""
    return Autoencoder(shape=shape, hidden=hidden, latent=latent)


def vae(*, shape: Sequence[int], hidden: Sequence[int], latent: int) -> VariationalAutoencoder:
    """A variational autoencoder with mirrored ReLU networks on both sides."""
    return VariationalAutoencoder(shape=shape, hidden=hidden, latent=latent)


def kl_from_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) || N(0, I)) in nats, shape (n,).

    >>> import torch
    >>> kl_from_standard_normal(torch.zeros(1, 3), torch.zeros(1, 3))
    tensor([0.])
    """
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
