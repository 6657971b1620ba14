"""Training of plain GANs: a generator and a fully connected discriminator, by any of the usual optimisers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bench.models.catalogue import Activation, Initial
from bench.models.perceptrons import Judge
from bench.training.adversarial_losses import fooled, judged
from bench.training.common import TrainingData
from bench.training.contest import IMAGES, POINTS, Contest, latent_size, recruit, rule_of
from bench.training.options import Loss, Optimiser, Updates
from bench.training.packs import Packs


class PlainGan(Contest):
    """A generator against a discriminator that judges flattened samples one by one.

    Args:
        generators: Stacks of one.
        data: Samples, shape (n, ...).
        seeds: One a generator.
        batch_size: Samples a step, b.
        optimiser: Of both networks.
        learning_rate: Of both networks.
        beta1: Adam's first decay rate, or the momentum of `sgd`.
        width: Units of a hidden layer of the discriminator.
        depth: Its hidden layers.
        activation: Between its layers.
        initial: Law of its first weights.
        loss: ``non-saturating``: -log D; ``saturating``: log(1 - D).
        updates: ``alternating``: the generator's gradient is taken after the discriminator's step, on the same noise;
            ``simultaneous``: both gradients at the same parameters.

    Source: Goodfellow et al. 2014, algorithm 1 (alternating; both losses in section 3).
    """

    def __init__(
        self,
        generators: Sequence[nn.Module],
        data: TrainingData,
        *,
        seeds: Sequence[int],
        batch_size: int,
        optimiser: Optimiser,
        learning_rate: float,
        beta1: float,
        width: int,
        depth: int,
        activation: Activation,
        initial: Initial,
        loss: Loss,
        updates: Updates,
    ) -> None:
        def judge() -> nn.Module:
            inputs = data.x[0].numel()
            return Judge(inputs, width=width, depth=depth, activation=activation, initial=initial)

        self.discriminator = recruit(judge, "discriminator", seeds, data.x.device)
        rule = rule_of(optimiser, learning_rate, beta1)
        rules = {"generator": rule, "discriminator": rule}
        looked_at = POINTS if data.x.ndim == 2 else IMAGES
        super().__init__(generators, {"discriminator": self.discriminator}, rules, looked_at=looked_at)
        latent = latent_size(generators)
        self._packs = Packs(data.x, seeds=seeds, packing=1, batch_size=batch_size, latent=latent)
        self._loss, self._updates = loss, updates

    def draw(self, iteration: int) -> tuple[Tensor, ...]:
        """Real samples, flattened, shape (e, b, d), and noise, shape (e, 1, b, latent)."""
        return self._packs.real(iteration).flatten(2), self._packs.noise(iteration)

    def move(self, *drawn: Tensor) -> dict[str, Tensor]:
        """One step of both networks."""
        real, noise = drawn
        fake = self.generator(noise)[:, 0].flatten(2)
        loss_d = judged(self.discriminator(real), self.discriminator(fake.detach()))
        towards_real = torch.autograd.grad(loss_d.sum(), self.parameters["discriminator"])
        if self._updates == "alternating":
            self.step("discriminator", towards_real)
        loss_g = fooled(self.discriminator(fake), self._loss)
        gradients = torch.autograd.grad(loss_g.sum(), self.parameters["generator"])
        if self._updates == "simultaneous":
            self.step("discriminator", towards_real)
        self.step("generator", gradients)
        return {"discriminator": loss_d.detach(), "generator": loss_g.detach()}
