"""Training of GANs with an encoder beside the generator: ALI and VEEGAN, whose discriminators see pairs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from bench.models.gans import GridGenerator, PackedDiscriminator
from bench.models.perceptrons import Judge, Perceptron
from bench.training.adversarial_losses import judged
from bench.training.common import TrainingData
from bench.training.contest import Contest, Rule, adam, latent_size, recruit
from bench.training.packs import Packs


class PairedGan(Contest):
    """A generator and an encoder against a discriminator of pairs (sample, code); all step at once.

    Args:
        generators: Stacks of one.
        data: Points, shape (n, d).
        encoder: Makes an encoder: (e, 1, b, inputs) to (e, 1, b, latent).
        judge: Makes a discriminator of pairs: (e, b, d + latent) to (e, b).
        seeds: One a generator.
        batch_size: Samples a step, b.
        rule: The optimiser of all three.
    """

    def __init__(
        self,
        generators: Sequence[nn.Module],
        data: TrainingData,
        *,
        encoder: Callable[[], nn.Module],
        judge: Callable[[], nn.Module],
        seeds: Sequence[int],
        batch_size: int,
        rule: Rule,
    ) -> None:
        self.encoder = recruit(encoder, "encoder", seeds, data.x.device)
        self.discriminator = recruit(judge, "discriminator", seeds, data.x.device)
        others = {"encoder": self.encoder, "discriminator": self.discriminator}
        super().__init__(generators, others, dict.fromkeys(("generator", *others), rule))
        latent = latent_size(generators)
        self._packs = Packs(data.x, seeds=seeds, packing=2, batch_size=batch_size, latent=latent)

    def draw(self, iteration: int) -> tuple[Tensor, ...]:
        """Real points (e, b, d), codes (e, b, latent), and noise for the encoder of the same shape."""
        noise = self._packs.noise(iteration)
        return self._packs.real(iteration)[:, :, 0].flatten(2), noise[:, 0], noise[:, 1]

    def move(self, *drawn: Tensor) -> dict[str, Tensor]:
        """One step of all three, with all gradients taken at the same parameters."""
        real, codes, noise = drawn
        made = self.generator(codes[:, None])[:, 0].flatten(2)
        seen = self.encode(real, noise)
        real_score, fake_score = self.discriminator(
            torch.cat([torch.cat([real, seen], 2), torch.cat([made, codes], 2)], 1)
        ).split(real.shape[1], 1)
        loss_d = judged(real_score, fake_score)
        losses = self.losses(real_score, fake_score, made, codes, noise)
        gradients = {
            name: torch.autograd.grad(loss.sum(), self.parameters[name], retain_graph=True)
            for name, loss in {"discriminator": loss_d, **losses}.items()
        }
        for name, each in gradients.items():
            self.step(name, each)
        return {"discriminator": loss_d.detach(), **{name: loss.detach() for name, loss in losses.items()}}

    @abstractmethod
    def encode(self, x: Tensor, noise: Tensor) -> Tensor:
        """Codes (e, b, latent) of points (e, b, d)."""

    @abstractmethod
    def losses(
        self, real_score: Tensor, fake_score: Tensor, made: Tensor, codes: Tensor, noise: Tensor
    ) -> dict[str, Tensor]:
        """The losses of generator and encoder, each of shape (networks,)."""


class Ali(PairedGan):
    """Adversarially learned inference: generator and encoder make pairs that look as the other's."""

    def encode(self, x: Tensor, noise: Tensor) -> Tensor:
        """Codes that depend on noise too."""
        return self.encoder(torch.cat([x, noise], 2)[:, None])[:, 0]  # type: ignore[no-any-return]

    def losses(
        self,
        real_score: Tensor,
        fake_score: Tensor,
        made: Tensor,  # noqa: ARG002
        codes: Tensor,  # noqa: ARG002
        noise: Tensor,  # noqa: ARG002
    ) -> dict[str, Tensor]:
        """One loss for both."""
        loss = judged(-real_score, -fake_score)
        return {"generator": loss, "encoder": loss}


class Veegan(PairedGan):
    """VEEGAN: the encoder is to give the codes of made points back, and of real points such as the discriminator."""

    def encode(self, x: Tensor, noise: Tensor) -> Tensor:  # noqa: ARG002
        """Codes of points."""
        return self.encoder(x)  # type: ignore[no-any-return]

    def losses(
        self, real_score: Tensor, fake_score: Tensor, made: Tensor, codes: Tensor, noise: Tensor
    ) -> dict[str, Tensor]:
        """The generator raises the score of its pairs, the encoder lowers that of its own; both restore codes."""
        lost = (codes - self.encode(made, noise)).square().sum(2).mean(1)
        return {"generator": lost - fake_score.mean(1), "encoder": lost + real_score.mean(1)}


def ali(
    generators: Sequence[nn.Module],
    data: TrainingData,
    *,
    seeds: Sequence[int],
    batch_size: int,
    learning_rate: float,
    beta1: float,
    encoder_width: int,
    width: int,
) -> Ali:
    """Generators together with encoders against discriminators of pairs (ALI).

    Args:
        generators: Stacks of one.
        data: Points.
        seeds: One a generator.
        batch_size: Points a step.
        learning_rate: Adam's rate for all three networks.
        beta1: Adam's first decay rate.
        encoder_width: Units of each of the encoder's two hidden layers.
        width: Maxout units of a hidden layer of the discriminator.

    Source: Dumoulin et al. 2017, section 2; configuration of Lin, Khetan, Fanti, Oh 2018, section 4.1.
    """
    size, latent = data.x[0].numel(), latent_size(generators)
    return Ali(
        generators, data, seeds=seeds, batch_size=batch_size, rule=adam(learning_rate, beta1),
        encoder=lambda: GridGenerator(latent=size + latent, width=encoder_width, depth=2, outputs=latent),
        judge=lambda: PackedDiscriminator(inputs=size + latent, width=width),
    )  # fmt: skip


def veegan(
    generators: Sequence[nn.Module],
    data: TrainingData,
    *,
    seeds: Sequence[int],
    batch_size: int,
    learning_rate: float,
    beta1: float,
    width: int,
) -> Veegan:
    """Generators together with encoders that give their codes back (VEEGAN).

    Args:
        generators: Stacks of one.
        data: Points.
        seeds: One a generator.
        batch_size: Points a step.
        learning_rate: Adam's rate for all three networks.
        beta1: Adam's first decay rate.
        width: ReLU units of the encoder's two hidden layers and the discriminator's one.

    Source: Srivastava, Valkov, Russell, Gutmann, Sutton 2017, algorithm 1; the paper's own networks of points are not
    released, so that sizes are those of a later port.
    """
    size, latent = data.x[0].numel(), latent_size(generators)
    return Veegan(
        generators, data, seeds=seeds, batch_size=batch_size, rule=adam(learning_rate, beta1),
        encoder=lambda: Perceptron([size, width, width, latent], activation="relu", initial="glorot"),
        judge=lambda: Judge(size + latent, width=width, depth=1, activation="relu", initial="glorot"),
    )  # fmt: skip
