"""Training of packed convolutional GANs on images, several at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.models.dcgan import Discriminator
from bench.models.stacked import stack, unstack
from bench.randomness import derive_seed, forked_torch_seed
from bench.training.common import Report, TrainingData
from bench.training.packs import Packs, shared_noise
from bench.training.together import Checkpoint, Fate, play

LOOKED_AT = 64
"""Images that are kept of a generator while it is trained."""

Judge = Literal["large", "small"]

_JUDGES: Mapping[Judge, dict[str, object]] = {
    "large": {"widths": (1, 2, 4, 8), "side": 5, "slope": 0.2, "norm_first": False},
    "small": {"widths": (1, 2, 4), "side": 3, "slope": 0.3, "norm_first": True},
}
"""Discriminators: channels as multiples of the first layer's, filters, slope, batch norm of the first layer."""


def discriminator(judge: Judge, *, inputs: int, size: int, width: int) -> Discriminator:
    """A discriminator of packs of images.

    Args:
        judge: ``large``, VEEGAN's setting; ``small``, the unrolled GAN's.
        inputs: Channels of a pack.
        size: Side of an image.
        width: Channels of the first convolution.
    """
    shape = dict(_JUDGES[judge])
    channels = [width * times for times in shape.pop("widths")]  # type: ignore[attr-defined]
    return Discriminator(inputs=inputs, size=size, channels=channels, **shape)  # type: ignore[arg-type]


class PackedImages:
    """A generator of images against a discriminator that judges several at once; a game of `bench.training.together`.

    In each iteration the discriminator makes one step, and the generator then one or more on the same noise. Real and
    made packs have batch statistics of their own.

    Args:
        generators: Stacks of one.
        data: Images in [0, 1], shape (n, channels, side, side).
        seeds: One a generator.
        packing: Images judged at once, m.
        batch_size: Packs a step, b.
        rates: Adam's rates of generator and discriminator.
        betas: Adam's decay rates.
        generator_steps: Steps of the generator in an iteration.
        judge: Kind of discriminator.
        width: Channels of the discriminator's first convolution.
        signed: Show the discriminator real images in [-1, 1], as the generator's are.
        reshuffle: Take the packs in another order in each epoch.
    """

    def __init__(
        self,
        generators: Sequence[nn.Module],
        data: TrainingData,
        *,
        seeds: Sequence[int],
        packing: int,
        batch_size: int,
        rates: tuple[float, float],
        betas: tuple[float, float],
        generator_steps: int,
        judge: Judge,
        width: int,
        signed: bool,
        reshuffle: bool,
    ) -> None:
        _, channels, size, _ = data.x.shape
        device, latent = data.x.device, int(generators[0].latent_size)  # type: ignore[arg-type]
        self._shared = shared_noise(LOOKED_AT, latent, len(seeds), device)
        self.generator = stack(generators)
        judges = []
        for seed in seeds:
            with forked_torch_seed(derive_seed(seed, "discriminator")):
                judges.append(discriminator(judge, inputs=channels * packing, size=size, width=width))
        self.discriminator = stack(judges).to(device)
        self.players: Mapping[str, nn.Module] = {"generator": self.generator, "discriminator": self.discriminator}
        self._g, self._d = list(self.generator.parameters()), list(self.discriminator.parameters())
        capturable = device.type == "cuda"
        self.optimisers: Sequence[torch.optim.Optimizer] = [
            torch.optim.Adam(each, lr=rate, betas=betas, fused=True, capturable=capturable)
            for each, rate in zip((self._g, self._d), rates, strict=True)
        ]
        self._packs = Packs(
            data.x, seeds=seeds, packing=packing, batch_size=batch_size, latent=latent, reshuffle=reshuffle
        )
        self._steps, self._signed = generator_steps, signed
        for player in self.players.values():
            player.train()

    def draw(self, iteration: int) -> tuple[Tensor, ...]:
        """Real packs, shape (e, b, m * channels, side, side), and noise, shape (e, m, b, latent)."""
        real = self._packs.real(iteration).flatten(2, 3)
        return (2 * real - 1 if self._signed else real), self._packs.noise(iteration)

    def look(self) -> Tensor:
        """Images from noise that all generators share, shape (e, LOOKED_AT, channels, side, side)."""
        self.generator.eval()
        with torch.no_grad():
            images: Tensor = self.generator(self._shared)[:, 0]
        self.generator.train()
        return images

    def move(self, *drawn: Tensor) -> dict[str, Tensor]:
        """A step of the discriminator, then those of the generator."""
        real, noise = drawn
        with torch.no_grad():
            made = self._packed(noise)
        real_score, fake_score = self.discriminator(torch.stack([real, made], 1)).unbind(1)
        loss_d = F.softplus(-real_score).mean(1) + F.softplus(fake_score).mean(1)
        self._step(1, loss_d, self._d)
        for _ in range(self._steps):
            loss_g = F.softplus(-self.discriminator(self._packed(noise)[:, None])[:, 0]).mean(1)
            self._step(0, loss_g, self._g)
        return {"discriminator": loss_d.detach(), "generator": loss_g.detach()}

    def _packed(self, noise: Tensor) -> Tensor:
        """What the generator makes of noise (e, m, b, latent), as packs (e, b, m * channels, side, side)."""
        made: Tensor = self.generator(noise)
        return made.transpose(1, 2).flatten(2, 3)

    def _step(self, player: int, loss: Tensor, parameters: list[nn.Parameter]) -> None:
        gradients = torch.autograd.grad(loss.sum(), parameters)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        self.optimisers[player].step()


def packed_images(
    models: Sequence[nn.Module],
    data: TrainingData,
    *,
    seeds: Sequence[int],
    report: Report,
    checkpoints: Sequence[Checkpoint] = (),
    packing: int,
    iterations: int,
    batch_size: int,
    generator_rate: float,
    discriminator_rate: float,
    beta1: float,
    beta2: float,
    generator_steps: int,
    judge: Judge,
    width: int,
    signed: bool,
    reshuffle: bool,
    looks: int,
) -> list[Fate]:
    """Train generators of images against discriminators that judge `packing` of them at once.

    Args:
        models: Generators, each a stack of one; they get the trained weights.
        data: Images in [0, 1].
        seeds: One a generator.
        report: Told the share that is done.
        checkpoints: One a generator, or none.
        packing: Images judged at once.
        iterations: Steps of the discriminator.
        batch_size: Packs a step.
        generator_rate: Adam's rate for the generator.
        discriminator_rate: Adam's rate for the discriminator.
        beta1: Adam's first decay rate.
        beta2: Adam's second decay rate.
        generator_steps: Steps of the generator after each of the discriminator, on the same noise.
        judge: Kind of discriminator.
        width: Channels of the discriminator's first convolution.
        signed: Show the discriminator real images in [-1, 1]; the released VEEGAN setting shows them in [0, 1].
        reshuffle: Take the packs in another order in each epoch; the released setting does not.
        looks: How often to keep 64 images of each generator.

    Returns:
        The fate of each generator.

    Source: Lin, Khetan, Fanti, Oh 2018, section 4.2 and the released configurations of stacked MNIST.
    """
    game = PackedImages(
        models,
        data,
        seeds=seeds,
        packing=packing,
        batch_size=batch_size,
        rates=(generator_rate, discriminator_rate),
        betas=(beta1, beta2),
        generator_steps=generator_steps,
        judge=judge,
        width=width,
        signed=signed,
        reshuffle=reshuffle,
    )
    fates = play(game, len(models), iterations, report=report, checkpoints=checkpoints, looks=looks)
    unstack(game.generator, models)
    for model in models:
        model.eval()
    return fates
