"""Training of packed GANs (PacGAN), several at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.models.gans import PackedDiscriminator
from bench.models.stacked import stack, unstack
from bench.randomness import derive_seed, forked_torch_seed
from bench.training.common import Report, TrainingData
from bench.training.packs import Packs, shared_noise
from bench.training.together import Checkpoint, Fate, play

LOOKED_AT = 2500
"""Points that are kept of a generator while it is trained."""


class PackedGan:
    """A generator against a discriminator that judges `packing` points at once; a game of `bench.training.together`.

    The packed training set is fixed: each slot takes as many rows, with replacement, as the data has. Losses
    are the non-saturating ones; both gradients are taken at the same parameters.

    Args:
        generators: Stacks of one.
        data: Points, shape (n, width).
        seeds: One a generator.
        packing: Points judged at once, m.
        batch_size: Packs a step, b.
        learning_rate: Adam's rate for both networks.
        betas: Adam's decay rates.
        width: Maxout units of a discriminator's hidden layer.
    """

    def __init__(
        self,
        generators: Sequence[nn.Module],
        data: TrainingData,
        *,
        seeds: Sequence[int],
        packing: int,
        batch_size: int,
        learning_rate: float,
        betas: tuple[float, float] = (0.8, 0.999),
        width: int = 200,
    ) -> None:
        inputs, device = data.x.shape[1], data.x.device
        latent: int = generators[0].latent_size  # type: ignore[assignment]
        self._shared = shared_noise(LOOKED_AT, latent, len(seeds), device)
        self.generator = stack(generators)
        judges = []
        for seed in seeds:
            with forked_torch_seed(derive_seed(seed, "discriminator")):
                judges.append(PackedDiscriminator(packing=packing, inputs=inputs, width=width))
        self.discriminator = stack(judges).to(device)
        self.players: Mapping[str, nn.Module] = {"generator": self.generator, "discriminator": self.discriminator}
        self._g, self._d = list(self.generator.parameters()), list(self.discriminator.parameters())
        capturable = device.type == "cuda"
        self.optimisers: Sequence[torch.optim.Optimizer] = [
            torch.optim.Adam(each, lr=learning_rate, betas=betas, fused=True, capturable=capturable)
            for each in (self._g, self._d)
        ]
        self._packs = Packs(data.x, seeds=seeds, packing=packing, batch_size=batch_size, latent=latent)
        for player in self.players.values():
            player.train()

    def draw(self, iteration: int) -> tuple[Tensor, ...]:
        """Real packs, shape (e, b, m * width), and noise, shape (e, m, b, latent)."""
        return self._packs.real(iteration).flatten(2), self._packs.noise(iteration)

    def look(self) -> Tensor:
        """Points from noise that all generators share, shape (e, LOOKED_AT, width), by running statistics."""
        self.generator.eval()
        with torch.no_grad():
            points: Tensor = self.generator(self._shared)[:, 0]
        self.generator.train()
        return points

    def move(self, *drawn: Tensor) -> dict[str, Tensor]:
        """One step of both networks, with both gradients taken at the same parameters."""
        real, noise = drawn
        fake = self.generator(noise).transpose(1, 2).flatten(2)
        # one call on both: the discriminator has nothing that mixes the samples of a batch
        scores = self.discriminator(torch.cat([real, fake], 1))
        real_score, fake_score = scores.split(real.shape[1], 1)
        loss_d = F.softplus(-real_score).mean(1) + F.softplus(fake_score).mean(1)
        loss_g = F.softplus(-fake_score).mean(1)
        *d_gradients, towards_fake = torch.autograd.grad(loss_d.sum(), [*self._d, fake])
        # the generator's loss goes back through the discriminator as the other does, but for a factor a pack:
        # of softplus(s) and softplus(-s), the slopes are in the ratio -exp(-s)
        factor = -torch.exp(-fake_score.detach().clamp_min(-80))
        g_gradients = torch.autograd.grad(fake, self._g, towards_fake * factor[..., None])
        for parameter, gradient in zip([*self._d, *self._g], [*d_gradients, *g_gradients], strict=True):
            parameter.grad = gradient
        for optimiser in self.optimisers:
            optimiser.step()
        return {"discriminator": loss_d.detach(), "generator": loss_g.detach()}


def packed_gan(
    models: Sequence[nn.Module],
    data: TrainingData,
    *,
    seeds: Sequence[int],
    report: Report,
    checkpoints: Sequence[Checkpoint] = (),
    packing: int,
    iterations: int,
    batch_size: int,
    learning_rate: float,
    beta1: float,
    width: int,
    looks: int,
) -> list[Fate]:
    """Train generators against discriminators that judge `packing` points at once.

    Args:
        models: Generators, each a stack of one; they get the trained weights.
        data: Points.
        seeds: One a generator.
        report: Told the share that is done.
        checkpoints: One a generator, or none.
        packing: Points judged at once.
        iterations: Steps of both networks.
        batch_size: Packs a step.
        learning_rate: Adam's rate for both networks.
        beta1: Adam's first decay rate.
        width: Maxout units of a discriminator's hidden layer.
        looks: How often to keep 2,500 points of each generator.

    Returns:
        The fate of each generator.

    Source: Lin, Khetan, Fanti, Oh 2018, section 4.1 and the released two-dimensional configuration
    (Adam 1e-4, beta1 0.8; 400,000 iterations in full).
    """
    game = PackedGan(
        models,
        data,
        seeds=seeds,
        packing=packing,
        batch_size=batch_size,
        learning_rate=learning_rate,
        betas=(beta1, 0.999),
        width=width,
    )
    fates = play(game, len(models), iterations, report=report, checkpoints=checkpoints, looks=looks)
    unstack(game.generator, models)
    for model in models:
        model.eval()
    return fates
