"""Training of Wasserstein GANs: a critic instead of a discriminator, bounded by clipping or by a gradient penalty."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bench.attacks.draws import Draws
from bench.models.perceptrons import Judge
from bench.randomness import derive_seed
from bench.training.common import TrainingData
from bench.training.contest import IMAGES, POINTS, Contest, Rule, adam, latent_size, recruit, rule_of
from bench.training.packs import Packs


class WassersteinGan(Contest):
    """A generator against a critic that makes several steps before each of the generator's.

    Args:
        generators: Stacks of one.
        data: Samples, shape (n, ...).
        seeds: One a generator.
        batch_size: Samples a step, b.
        rule: The optimiser of both.
        critic_steps: Steps of the critic, k, each on other samples, before one of the generator.
        width: Units of a hidden layer of the critic, which has ReLUs and He's first weights.
        depth: Its hidden layers.
        clip: Bound of each of its weights, set again after each step; None for no bound.
        penalty: Weight of (|gradient| - 1)^2 at points between real and made ones; None for no penalty.
    """

    def __init__(
        self,
        generators: Sequence[nn.Module],
        data: TrainingData,
        *,
        seeds: Sequence[int],
        batch_size: int,
        rule: Rule,
        critic_steps: int,
        width: int,
        depth: int,
        clip: float | None = None,
        penalty: float | None = None,
    ) -> None:
        def judge() -> nn.Module:
            return Judge(data.x[0].numel(), width=width, depth=depth, activation="relu", initial="he")

        self.critic = recruit(judge, "critic", seeds, data.x.device)
        rules = {"generator": rule, "critic": rule}
        looked_at = POINTS if data.x.ndim == 2 else IMAGES
        super().__init__(generators, {"critic": self.critic}, rules, looked_at=looked_at)
        latent = latent_size(generators)
        # a slot a step: the critic's, and the last one the generator's, whose real samples nobody looks at
        self._packs = Packs(data.x, seeds=seeds, packing=critic_steps + 1, batch_size=batch_size, latent=latent)
        seeds_of = torch.tensor([derive_seed(seed, "between") for seed in seeds], device=data.x.device)
        self._between, self._shape = Draws(seeds_of), (critic_steps, batch_size, 1)
        self._steps, self._clip, self._penalty = critic_steps, clip, penalty

    def draw(self, iteration: int) -> tuple[Tensor, ...]:
        """Real samples (e, b, k + 1, d), noise (e, k + 1, b, latent), shares of real in between (e, k, b, 1)."""
        between = self._between.uniform(self._shape, iteration)
        return self._packs.real(iteration).flatten(3), self._packs.noise(iteration), between

    def move(self, *drawn: Tensor) -> dict[str, Tensor]:
        """The critic's steps, then one of the generator."""
        real, noise, between = drawn
        for step in range(self._steps):
            with torch.no_grad():
                fake = self._made(noise, step)
            loss_d = self.critic_loss(real[:, :, step], fake, between[:, step])
            self.descend("critic", loss_d)
            if self._clip is not None:
                with torch.no_grad():
                    for parameter in self.parameters["critic"]:
                        parameter.clamp_(-self._clip, self._clip)
        loss_g = -self.critic(self._made(noise, self._steps)).mean(1)
        self.descend("generator", loss_g)
        return {"critic": loss_d.detach(), "generator": loss_g.detach()}

    def _made(self, noise: Tensor, step: int) -> Tensor:
        made: Tensor = self.generator(noise[:, step : step + 1])
        return made[:, 0].flatten(2)

    def critic_loss(self, real: Tensor, fake: Tensor, between: Tensor) -> Tensor:
        """Minus the estimated distance, and the penalty where there is one; shape (networks,)."""
        loss: Tensor = self.critic(fake).mean(1) - self.critic(real).mean(1)
        if self._penalty is not None:
            middle = (fake + between * (real - fake)).requires_grad_()
            (slopes,) = torch.autograd.grad(self.critic(middle).sum(), middle, create_graph=True)
            loss = loss + self._penalty * (slopes.norm(dim=2) - 1).square().mean(1)
        return loss


def wgan(
    generators: Sequence[nn.Module],
    data: TrainingData,
    *,
    learning_rate: float,
    clip: float,
    **options: Any,
) -> WassersteinGan:
    """Wasserstein GANs whose critic's weights are clipped, by RMSprop.

    Args:
        generators: Stacks of one.
        data: Samples.
        learning_rate: RMSprop's rate for both networks.
        clip: Bound of the critic's weights.
        options: The others of `WassersteinGan`.

    Source: Arjovsky, Chintala, Bottou 2017, algorithm 1; networks of the toy problems of Gulrajani et al. 2017.
    """
    return WassersteinGan(generators, data, rule=rule_of("rmsprop", learning_rate), clip=clip, **options)


def wgan_gp(
    generators: Sequence[nn.Module],
    data: TrainingData,
    *,
    learning_rate: float,
    beta1: float,
    beta2: float,
    penalty: float,
    **options: Any,
) -> WassersteinGan:
    """Wasserstein GANs whose critic has a gradient penalty, by Adam.

    Args:
        generators: Stacks of one.
        data: Samples.
        learning_rate: Adam's rate for both networks.
        beta1: Adam's first decay rate.
        beta2: Adam's second decay rate.
        penalty: Weight of the penalty.
        options: The others of `WassersteinGan`.

    Source: Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville 2017, algorithm 1 and the released toy problems.
    """
    return WassersteinGan(generators, data, rule=adam(learning_rate, beta1, beta2), penalty=penalty, **options)
