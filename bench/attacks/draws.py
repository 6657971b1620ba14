"""Random numbers that belong to a sample, whatever batch it is in and on whatever device."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.randomness import derive_seed

_GOLDEN = -7046029254386353131  # 0x9E3779B97F4A7C15 as a signed 64-bit integer
_MIX_1 = -4658895280553007687  # 0xBF58476D1CE4E5B9
_MIX_2 = -7723592293110705685  # 0x94D049BB133111EB


def _shift_right(values: Tensor, bits: int) -> Tensor:
    """Logical right shift of int64 (torch's own keeps the sign)."""
    return (values >> bits) & ((1 << (64 - bits)) - 1)


def _wrapped(value: int) -> int:
    """A Python integer as the signed 64-bit one with the same low bits."""
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


def _mix(values: Tensor) -> Tensor:
    """The finaliser of SplitMix64 (Steele, Lea, Flood 2014), elementwise on int64."""
    values = (values ^ _shift_right(values, 30)) * _MIX_1
    values = (values ^ _shift_right(values, 27)) * _MIX_2
    return values ^ _shift_right(values, 31)


@dataclass(frozen=True)
class Draws:
    """A counter-based generator with one seed a sample.

    Element j of a sample's k-th stream is a hash of (seed, k, j): the same on CPU and GPU, alone or in a batch.

    Attributes:
        seeds: Shape (n,), int64.
    """

    seeds: Tensor

    def rows(self, index: Tensor) -> Draws:
        """The generator of some of the samples."""
        return Draws(self.seeds[index])

    def branch(self, name: str) -> Draws:
        """Other generators for the same samples, for a part of an attack that needs numbers of its own."""
        return Draws(_mix(self.seeds ^ _wrapped(derive_seed(0, name))))

    def uniform(self, shape: tuple[int, ...], stream: int) -> Tensor:
        """Uniform numbers in [0, 1), float32, shape (n, *shape); another `stream` gives other numbers.

        >>> draws = Draws(torch.tensor([11, 12]))
        >>> bool((draws.uniform((3,), 0)[1] == Draws(torch.tensor([12])).uniform((3,), 0)[0]).all())
        True
        """
        state = _mix(self.seeds + _wrapped(_GOLDEN * (stream + 1)))
        counters = torch.arange(1, math.prod(shape) + 1, device=self.seeds.device)
        bits = _mix(state[:, None] + _GOLDEN * counters[None, :])
        return (_shift_right(bits, 40).float() * 2.0**-24).reshape(-1, *shape)

    def normal(self, shape: tuple[int, ...], stream: int) -> Tensor:
        """Standard normal numbers, float32, shape (n, *shape), by the Box-Muller transform.

        Computed in float64, so that the last bit a vectorised logarithm gets wrong does not show.
        """
        radius = (-2.0 * torch.log1p(-self.uniform(shape, 2 * stream + 1_000_003).double())).sqrt()
        angle = 2 * math.pi * self.uniform(shape, 2 * stream + 1_000_004).double()
        return (radius * torch.cos(angle)).float()
