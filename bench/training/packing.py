"""Training of packed GANs (PacGAN), several at once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bench.errors import ModelError
from bench.models.gans import PackedDiscriminator
from bench.training.adversarial_losses import fooled, judged
from bench.training.common import TrainingData
from bench.training.contest import Contest, adam, latent_size, recruit
from bench.training.options import Loss, Updates
from bench.training.packs import Packs


class PackedGan(Contest):
    """A generator against a discriminator that judges `packing` points at once.

    The packed training set is fixed: each slot takes as many rows, with replacement, as the data has.

    Args:
        generators: Stacks of one.
        data: Points, shape (n, width).
        seeds: One a generator.
        packing: Points judged at once, m.
        batch_size: Packs a step, b.
        learning_rate: Adam's rate for both networks.
        beta1: Adam's first decay rate.
        width: Maxout units of a discriminator's hidden layer.
        loss: The generator's loss: ``non-saturating`` as in the paper, or ``saturating``, log(1 - D).
        updates: ``simultaneous`` as in the paper: both gradients at the same parameters; ``alternating``: the
            generator's after the discriminator's step, on the same noise.

    Source: Lin, Khetan, Fanti, Oh 2018, section 4.1 and the released two-dimensional configuration
    (Adam 1e-4, beta1 0.8; 400,000 iterations in full).
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
        beta1: float = 0.8,
        width: int = 200,
        loss: Loss = "non-saturating",
        updates: Updates = "simultaneous",
    ) -> None:
        if data.x.ndim != 2:
            raise ModelError(
                f"`packed-gan` is trained on points; found samples of shape {tuple(data.x.shape[1:])}; "
                f"`packed-images` takes images"
            )

        def judge() -> nn.Module:
            return PackedDiscriminator(packing=packing, inputs=data.x.shape[1], width=width)

        self.discriminator = recruit(judge, "discriminator", seeds, data.x.device)
        rule = adam(learning_rate, beta1)
        super().__init__(generators, {"discriminator": self.discriminator}, {"generator": rule, "discriminator": rule})
        latent = latent_size(generators)
        self._packs = Packs(data.x, seeds=seeds, packing=packing, batch_size=batch_size, latent=latent)
        self._loss, self._updates = loss, updates

    def draw(self, iteration: int) -> tuple[Tensor, ...]:
        """Real packs, shape (e, b, m * width), and noise, shape (e, m, b, latent)."""
        return self._packs.real(iteration).flatten(2), self._packs.noise(iteration)

    def move(self, *drawn: Tensor) -> dict[str, Tensor]:
        """One step of both networks."""
        real, noise = drawn
        fake = self.generator(noise).transpose(1, 2).flatten(2)
        loss_d, loss_g = (self._at_once if self._updates == "simultaneous" else self._in_turn)(real, fake)
        return {"discriminator": loss_d.detach(), "generator": loss_g.detach()}

    def _in_turn(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        loss_d = judged(*self._scores(real, fake.detach()))
        self.descend("discriminator", loss_d)
        loss_g = fooled(self.discriminator(fake), self._loss)
        self.descend("generator", loss_g)
        return loss_d, loss_g

    def _at_once(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        real_score, fake_score = self._scores(real, fake)
        loss_d, loss_g = judged(real_score, fake_score), fooled(fake_score, self._loss)
        *towards_real, towards_fake = torch.autograd.grad(loss_d.sum(), [*self.parameters["discriminator"], fake])
        # the generator's loss goes back through the discriminator as the other does, but for a factor a pack: of
        # softplus(s) and softplus(-s), the slopes are in the ratio -exp(-s); beyond s = -80 it is held, as its
        # partner falls below what float32 can hold
        if self._loss == "non-saturating":
            upwards = towards_fake * -torch.exp(-fake_score.detach().clamp_min(-80))[..., None]
        else:
            upwards = -towards_fake
        gradients = torch.autograd.grad(fake, self.parameters["generator"], upwards)
        self.step("discriminator", towards_real)
        self.step("generator", gradients)
        return loss_d, loss_g

    def _scores(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of both in one call: the discriminator has nothing that mixes the samples of a batch."""
        real_score, fake_score = self.discriminator(torch.cat([real, fake], 1)).split(real.shape[1], 1)
        return real_score, fake_score
