"""What a model of each kind must be able to do. Anything with these methods will do; nothing need be inherited."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Encoder(Protocol):
    """The half of an autoencoder that the latent attack uses.

    A variational autoencoder also has ``encode_distribution(x) -> (mean, log_variance)``.
    """

    def encode(self, x: Tensor) -> Tensor:
        """Images (n, ...) in the data range to codes (n, latent)."""


@runtime_checkable
class AutoencoderLike(Encoder, Protocol):
    """An autoencoder: codes from images and images from codes."""

    def decode(self, z: Tensor) -> Tensor:
        """Codes (n, latent) to images (n, ...) in the data range."""


@runtime_checkable
class GeneratorLike(Protocol):
    """A generator: samples from noise drawn from N(0, I).

    Attributes:
        latent_size: Length of a noise vector.
    """

    latent_size: int

    def __call__(self, z: Tensor) -> Tensor:
        """Noise (n, latent_size) to samples (n, ...)."""
