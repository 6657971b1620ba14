"""What packed GANs are fed: packs of real samples and noise, from each network's seed and the iteration alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bench.attacks.draws import Draws
from bench.randomness import derive_seed

BLOCK = 50
"""Iterations whose noise is drawn together."""


class Noise:
    """Noise for each slot of a pack.

    Args:
        seeds: One a network, e in all.
        packing: Samples in a pack, m.
        batch_size: Packs in a batch, b.
        latent: Length of a noise vector.
        device: Where to draw it.
    """

    def __init__(
        self, seeds: Sequence[int], *, packing: int, batch_size: int, latent: int, device: torch.device
    ) -> None:
        self._shape = (BLOCK, packing, batch_size, latent)
        self._draws = Draws(torch.tensor([derive_seed(seed, "noise") for seed in seeds], device=device))
        self._block = -1

    def __call__(self, iteration: int) -> Tensor:
        """Numbers from N(0, I), shape (e, m, b, latent)."""
        block, turn = divmod(iteration, BLOCK)
        if block != self._block:
            self._block, self._drawn = block, self._draws.normal(self._shape, block).transpose(0, 1).contiguous()
        return self._drawn[turn]


class FreshPacks:
    """Packs of images that are made of several of the data's, as channels, drawn anew for each batch.

    Args:
        x: The data, shape (n, channels, ...).
        seeds: One a network, e in all.
        packing: Samples in a pack, m.
        batch_size: Packs in a batch, b.
        latent: Length of a noise vector.
        images: Images of the data that one sample is made of.
    """

    def __init__(
        self, x: Tensor, *, seeds: Sequence[int], packing: int, batch_size: int, latent: int, images: int
    ) -> None:
        self._x, self._shape = x, (batch_size, packing, images)
        self._draws = Draws(torch.tensor([derive_seed(seed, "packs") for seed in seeds], device=x.device))
        self.noise = Noise(seeds, packing=packing, batch_size=batch_size, latent=latent, device=x.device)

    def real(self, iteration: int) -> Tensor:
        """Real packs, shape (e, b, m, images * channels, ...)."""
        rows = (self._draws.uniform(self._shape, iteration) * len(self._x)).long()
        return self._x[rows].flatten(3, 4)


class Packs:
    """Packs of a fixed set: each slot takes as many rows, with replacement, as the data has.

    Args:
        x: The data, shape (n, ...).
        seeds: One a network, e in all.
        packing: Samples in a pack, m.
        batch_size: Packs in a batch, b; at most n.
        latent: Length of a noise vector.
        reshuffle: Take the packs in another order in each epoch; else in the order they were drawn in.

    Raises:
        ValueError: A batch is larger than the data.
    """

    def __init__(
        self, x: Tensor, *, seeds: Sequence[int], packing: int, batch_size: int, latent: int, reshuffle: bool = True
    ) -> None:
        if batch_size > len(x):
            raise ValueError(f"a batch of {batch_size} packs is more than the {len(x)} samples there are")
        self.x, self.seeds, self.packing, self.batch_size = x, seeds, packing, batch_size
        self.reshuffle = reshuffle
        self._rows = torch.stack([self._slots(seed) for seed in seeds]).to(x.device)
        self.noise = Noise(seeds, packing=packing, batch_size=batch_size, latent=latent, device=x.device)
        self._epoch = -1
        self._order = torch.arange(len(x), device=x.device).expand(len(seeds), -1)

    def _slots(self, seed: int) -> Tensor:
        """Rows of the data in each slot, shape (n, m)."""
        random = torch.Generator().manual_seed(derive_seed(seed, "packs"))
        size = len(self.x)
        return torch.stack([torch.randint(size, (size,), generator=random) for _ in range(self.packing)], 1)

    def real(self, iteration: int) -> Tensor:
        """Real packs, shape (e, b, m, ...)."""
        epoch, batch = divmod(iteration, len(self.x) // self.batch_size)
        if self.reshuffle and epoch != self._epoch:
            orders = [
                torch.randperm(len(self.x), generator=torch.Generator().manual_seed(derive_seed(seed, "order", epoch)))
                for seed in self.seeds
            ]
            self._epoch, self._order = epoch, torch.stack(orders).to(self.x.device)
        chosen = self._order[:, batch * self.batch_size : (batch + 1) * self.batch_size]
        return self.x[self._rows.gather(1, chosen[..., None].expand(-1, -1, self.packing))]


def shared_noise(count: int, latent: int, networks: int, device: torch.device) -> Tensor:
    """Noise that all networks share, whatever their seeds; shape (networks, 1, count, latent)."""
    seeds = torch.tensor([derive_seed(0, "look")], device=device)
    return Draws(seeds).normal((1, count, latent), 0).expand(networks, -1, -1, -1)
