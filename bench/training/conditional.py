"""Training of conditional GANs on labelled images."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.attacks.draws import Draws
from bench.models.conditional import JUDGED, ConditionalDiscriminator, ConditionalGenerator
from bench.models.stacked import Linear
from bench.randomness import derive_seed
from bench.training.adversarial_losses import fooled, judged
from bench.training.common import TrainingData
from bench.training.contest import IMAGES, Contest, Rule, latent_size, recruit, rule_of
from bench.training.packs import Packs


class ConditionalGan(Contest):
    """A generator that is asked for a class against a discriminator that is told it.

    Gradient descent with momentum; in each iteration the rate is divided by `decay` until it has reached `last_rate`,
    and the momentum grows along a line.

    Args:
        generators: Stacks of one, `bench.models.conditional.ConditionalGenerator`.
        data: Labelled images in [0, 1].
        seeds: One a generator.
        batch_size: Images a step, b.
        learning_rate: The first rate.
        decay: What the rate is divided by.
        last_rate: The smallest rate.
        momentum: Momentum of the first step.
        final_momentum: Momentum it grows to.
        momentum_iterations: Iterations it grows over.
        dropout: Share of the joint hidden layers that is dropped.
        max_column_norm: Longest vector of incoming weights of a unit, kept after every step; None for no bound.

    Raises:
        ValueError: Another architecture, or data without labels or with more classes.

    Source: Mirza, Osindero 2014, section 4.1.
    """

    steady = False

    def __init__(
        self,
        generators: Sequence[nn.Module],
        data: TrainingData,
        *,
        seeds: Sequence[int],
        batch_size: int,
        learning_rate: float,
        decay: float,
        last_rate: float,
        momentum: float,
        final_momentum: float,
        momentum_iterations: int,
        dropout: float,
        max_column_norm: float | None,
    ) -> None:
        first = generators[0]
        if not isinstance(first, ConditionalGenerator):
            raise ValueError(f"expected a `gan-conditional` generator, found a {type(first).__name__}")
        labels, self._classes = data.labels(), first.classes
        if int(labels.max()) >= first.classes:
            raise ValueError(f"the generator has {first.classes} classes, the data's labels go to {int(labels.max())}")

        def judge() -> nn.Module:
            return ConditionalDiscriminator(inputs=data.x[0].numel(), classes=first.classes)

        self.discriminator = recruit(judge, "discriminator", seeds, data.x.device)
        rule: Rule = rule_of("sgd", learning_rate, momentum)
        rules = {"generator": rule, "discriminator": rule}
        super().__init__(generators, {"discriminator": self.discriminator}, rules, looked_at=IMAGES)
        # a sample of the packs is a row of the data: image and class are taken together
        rows = torch.arange(len(data.x), device=data.x.device)
        self._packs = Packs(rows, seeds=seeds, packing=1, batch_size=batch_size, latent=latent_size(generators))
        self._x, self._y = data.x.flatten(1), labels
        self._masks = Draws(torch.tensor([derive_seed(seed, "dropout") for seed in seeds], device=data.x.device))
        self._joint = [first.joint, *[JUDGED[-1]] * 3]
        self._batch, self._dropout, self._growth = batch_size, dropout, momentum_iterations
        self._longest = max_column_norm
        self._rate, self._decay, self._last, self._momentum = (
            learning_rate,
            decay,
            last_rate,
            (momentum, final_momentum),
        )

    def prepare(self, iteration: int) -> None:
        """Set rate and momentum of the iteration."""
        share = min(1.0, iteration / self._growth)
        for optimiser in self.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = max(self._last, self._rate * self._decay**-iteration)
                group["momentum"] = (1 - share) * self._momentum[0] + share * self._momentum[1]

    def draw(self, iteration: int) -> tuple[Tensor, ...]:
        """Images (e, b, d), their classes (e, b, classes), noise (e, 1, b, latent), what dropout leaves of layers."""
        rows = self._packs.real(iteration)[:, :, 0]
        kept = self._masks.uniform((self._batch, sum(self._joint)), iteration) >= self._dropout
        keep = kept.float() / (1 - self._dropout)
        classes = F.one_hot(self._y[rows], self._classes).to(self._x.dtype)
        return self._x[rows], classes, self._packs.noise(iteration), keep

    def move(self, *drawn: Tensor) -> dict[str, Tensor]:
        """A step of the discriminator, then one of the generator on the same noise."""
        real, classes, noise, keep = drawn
        for_generator, *for_judge = torch.split(keep, self._joint, 2)
        asked = self.generator.classes_of(noise)[:, 0]  # type: ignore[operator]
        made = self.generator(noise, for_generator[:, None])[:, 0].flatten(2)
        real_score = self.discriminator(real, classes, for_judge[0])
        loss_d = judged(real_score, self.discriminator(made.detach(), asked, for_judge[1]))
        self._descend("discriminator", loss_d)
        loss_g = fooled(self.discriminator(made, asked, for_judge[2]), "non-saturating")
        self._descend("generator", loss_g)
        return {"discriminator": loss_d.detach(), "generator": loss_g.detach()}

    def _descend(self, name: str, loss: Tensor) -> None:
        """A step of a player, after which no unit's weights are longer than they may be."""
        self.descend(name, loss)
        if self._longest is None:
            return
        with torch.no_grad():
            for layer in self.players[name].modules():
                if isinstance(layer, Linear):
                    lengths = layer.weight.norm(dim=1, keepdim=True)
                    layer.weight.mul_(self._longest / lengths.clamp_min(self._longest))
