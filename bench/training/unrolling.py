"""Training of unrolled GANs: the generator foresees some steps of the discriminator."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from bench.models.perceptrons import Judge
from bench.training.adversarial_losses import judged
from bench.training.common import TrainingData
from bench.training.contest import BETA2, Contest, adam, latent_size, recruit
from bench.training.packs import Packs

_EPSILON = 1e-8
"""Added to Adam's root."""


class UnrolledGan(Contest):
    """A generator whose loss is minus the discriminator's after some of its Adam steps, differentiated through them.

    Both step once an iteration, from gradients at the same parameters; the foreseen steps are on the same batch.

    Args:
        generators: Stacks of one.
        data: Points, shape (n, d).
        seeds: One a generator.
        batch_size: Samples a step, b.
        generator_rate: Adam's rate for the generator.
        discriminator_rate: Adam's rate for the discriminator.
        beta1: Adam's first decay rate.
        unrolled: Steps that the generator foresees; 0 gives the saturating GAN.
        width: Units of a hidden layer of the discriminator, which has tanh and orthogonal first weights.
        depth: Its hidden layers.

    Source: Metz, Poole, Pfau, Sohl-Dickstein 2017, section 2, and the released notebook on a ring of Gaussians.
    """

    def __init__(
        self,
        generators: Sequence[nn.Module],
        data: TrainingData,
        *,
        seeds: Sequence[int],
        batch_size: int,
        generator_rate: float,
        discriminator_rate: float,
        beta1: float,
        unrolled: int,
        width: int,
        depth: int,
    ) -> None:
        def judge() -> nn.Module:
            return Judge(data.x[0].numel(), width=width, depth=depth, activation="tanh", initial="orthogonal")

        self.discriminator = recruit(judge, "discriminator", seeds, data.x.device)
        rules = {"generator": adam(generator_rate, beta1), "discriminator": adam(discriminator_rate, beta1)}
        super().__init__(generators, {"discriminator": self.discriminator}, rules)
        latent = latent_size(generators)
        self._packs = Packs(data.x, seeds=seeds, packing=1, batch_size=batch_size, latent=latent)
        self._names = [name for name, _ in self.discriminator.named_parameters()]
        self._unrolled, self._rate, self._betas = unrolled, discriminator_rate, (beta1, BETA2)

    def draw(self, iteration: int) -> tuple[Tensor, ...]:
        """Real points, shape (e, b, d), and noise, shape (e, 1, b, latent)."""
        return self._packs.real(iteration).flatten(2), self._packs.noise(iteration)

    def move(self, *drawn: Tensor) -> dict[str, Tensor]:
        """One step of both networks."""
        real, noise = drawn
        fake = self.generator(noise)[:, 0].flatten(2)
        weights: list[Tensor] = list(self.parameters["discriminator"])
        moments = self._moments()
        loss = loss_d = self._loss(weights, real, fake)
        towards_real: list[Tensor] = []
        for step in range(max(1, self._unrolled)):
            slopes = torch.autograd.grad(loss.sum(), weights, create_graph=True)
            towards_real = towards_real or [slope.detach() for slope in slopes]
            if self._unrolled:
                weights, moments = self._foreseen(weights, slopes, moments, step)
                loss = self._loss(weights, real, fake)
        gradients = torch.autograd.grad(-loss.sum(), self.parameters["generator"])
        self.step("discriminator", towards_real)
        self.step("generator", gradients)
        return {"discriminator": loss_d.detach(), "generator": -loss.detach()}

    def _loss(self, weights: Sequence[Tensor], real: Tensor, fake: Tensor) -> Tensor:
        """The loss of a discriminator with these weights."""
        given = dict(zip(self._names, weights, strict=True))
        return judged(*(functional_call(self.discriminator, given, (points,)) for points in (real, fake)))

    def _moments(self) -> list[tuple[Tensor, Tensor]]:
        """What Adam knows of each of the discriminator's parameters."""
        known = self.optimisers["discriminator"].state
        return [
            (known[each]["exp_avg"].clone(), known[each]["exp_avg_sq"].clone())
            if known[each]
            else (torch.zeros_like(each), torch.zeros_like(each))
            for each in self.parameters["discriminator"]
        ]

    def _foreseen(
        self,
        weights: Sequence[Tensor],
        slopes: Sequence[Tensor],
        moments: Sequence[tuple[Tensor, Tensor]],
        step: int,
    ) -> tuple[list[Tensor], list[tuple[Tensor, Tensor]]]:
        """One Adam step as a function that can be differentiated."""
        first = self.parameters["discriminator"][0]
        state = self.optimisers["discriminator"].state[first]
        made = state["step"].double() if state else torch.zeros((), dtype=torch.float64, device=first.device)
        mean_share, square_share = ((1 - beta ** (made + step + 1)).float() for beta in self._betas)
        new_weights, new_moments = [], []
        for weight, slope, (mean, square) in zip(weights, slopes, moments, strict=True):
            mean = mean.lerp(slope, 1 - self._betas[0])
            square = self._betas[1] * square + (1 - self._betas[1]) * slope.square()
            # where nothing ever flowed, the root has no slope; the number is below the square of Adam's own epsilon
            root = (square / square_share + 1e-24).sqrt() + _EPSILON
            new_weights.append(weight - self._rate * mean / mean_share / root)
            new_moments.append((mean, square))
        return new_weights, new_moments
