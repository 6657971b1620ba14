"""Training of packed convolutional GANs on images, several at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bench.errors import ModelError
from bench.models.dcgan import Discriminator
from bench.training.adversarial_losses import fooled, judged
from bench.training.common import TrainingData
from bench.training.contest import IMAGES, Contest, adam, latent_size, recruit
from bench.training.controls import JUDGES, STACKED
from bench.training.options import Judge
from bench.training.packs import FreshPacks, Packs


def discriminator(judge: Judge, *, inputs: int, size: int, width: int) -> Discriminator:
    """A discriminator of packs of images.

    Args:
        judge: ``large``, VEEGAN's setting; ``small``, the unrolled GAN's.
        inputs: Channels of a pack.
        size: Side of an image.
        width: Channels of the first convolution.
    """
    shape = dict(JUDGES[judge])
    channels = [width * times for times in shape.pop("widths")]
    return Discriminator(inputs=inputs, size=size, channels=channels, **shape)


class PackedImages(Contest):
    """A generator of images against a discriminator that judges several at once.

    In each iteration the discriminator makes one step, and the generator then one or more on the same noise. Real and
    made packs have batch statistics of their own.

    Args:
        generators: Stacks of one.
        data: Images in [0, 1], shape (n, channels, side, side).
        seeds: One a generator.
        packing: Images judged at once, m.
        batch_size: Packs a step, b.
        generator_rate: Adam's rate for the generator.
        discriminator_rate: Adam's rate for the discriminator.
        beta1: Adam's first decay rate.
        beta2: Adam's second decay rate.
        generator_steps: Steps of the generator in an iteration.
        judge: Kind of discriminator.
        width: Channels of the discriminator's first convolution.
        signed: Show the discriminator real images in [-1, 1], as the generator's are; the released VEEGAN setting
            shows them in [0, 1].
        reshuffle: Take the packs in another order in each epoch; the released setting does not.
        fresh: The data is of images of one channel; make each real image of three of them, drawn anew each time.

    Source: Lin, Khetan, Fanti, Oh 2018, section 4.2 and the released configurations of stacked MNIST.
    """

    def __init__(
        self,
        generators: Sequence[nn.Module],
        data: TrainingData,
        *,
        seeds: Sequence[int],
        packing: int,
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
        fresh: bool = False,
    ) -> None:
        if data.x.ndim != 4:
            raise ModelError(f"`packed-images` is trained on images; found samples of shape {tuple(data.x.shape[1:])}")
        _, channels, size, _ = data.x.shape
        if fresh and channels != 1:
            raise ModelError(f"`fresh` makes images of three of one channel each; found data of {channels} channels")
        inputs = (STACKED if fresh else channels) * packing

        def judges() -> nn.Module:
            return discriminator(judge, inputs=inputs, size=size, width=width)

        self.discriminator = recruit(judges, "discriminator", seeds, data.x.device)
        rules = {
            "generator": adam(generator_rate, beta1, beta2),
            "discriminator": adam(discriminator_rate, beta1, beta2),
        }
        super().__init__(generators, {"discriminator": self.discriminator}, rules, looked_at=IMAGES)
        given: dict[str, Any] = {"seeds": seeds, "batch_size": batch_size, "latent": latent_size(generators)}
        self._packs = (
            FreshPacks(data.x, packing=packing, images=STACKED, **given)
            if fresh
            else Packs(data.x, packing=packing, reshuffle=reshuffle, **given)
        )
        self._steps, self._signed = generator_steps, signed

    def draw(self, iteration: int) -> tuple[Tensor, ...]:
        """Real packs, shape (e, b, m * channels, side, side), and noise, shape (e, m, b, latent)."""
        real = self._packs.real(iteration).flatten(2, 3)
        return (2 * real - 1 if self._signed else real), self._packs.noise(iteration)

    def move(self, *drawn: Tensor) -> dict[str, Tensor]:
        """A step of the discriminator, then those of the generator."""
        real, noise = drawn
        with torch.no_grad():
            made = self._packed(noise)
        real_score, fake_score = self.discriminator(torch.stack([real, made], 1)).unbind(1)
        loss_d = judged(real_score, fake_score)
        self.descend("discriminator", loss_d)
        for _ in range(self._steps):
            loss_g = fooled(self.discriminator(self._packed(noise)[:, None])[:, 0], "non-saturating")
            self.descend("generator", loss_g)
        return {"discriminator": loss_d.detach(), "generator": loss_g.detach()}

    def _packed(self, noise: Tensor) -> Tensor:
        """What the generator makes of noise (e, m, b, latent), as packs (e, b, m * channels, side, side)."""
        made: Tensor = self.generator(noise)
        return made.transpose(1, 2).flatten(2, 3)
