"""The options of our recipes, with their defaults, ranges and units."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bench.catalogue import Options, Real
from bench.models.catalogue import Activation, Initial

Loss = Literal["non-saturating", "saturating"]
Updates = Literal["simultaneous", "alternating"]
Optimiser = Literal["adam", "adagrad", "rmsprop", "sgd"]
Judge = Literal["large", "small"]


class Standard(Options):
    """Options of training on clean images."""

    epochs: int = Field(3, ge=1, description="passes over the training data")
    batch_size: int = Field(100, ge=1, description="samples a step")
    learning_rate: Real = Field(1e-3, gt=0, description="Adam's first rate; it falls to 0 along a half cosine")


class Adversarial(Standard):
    """Options of training on adversarial images alone."""

    norm: Literal["linf", "l2"] = Field("linf", description="norm of the ball")
    epsilon: Real = Field(gt=0, description="radius of the ball, data units")
    steps: int = Field(10, ge=1, description="gradient steps a batch; 1 is FGSM training from a random start")
    step_size: Real | None = Field(None, gt=0, description="length of a step; null takes 2.5 epsilon / steps")
    warm_up: Real = Field(0.0, ge=0, le=1, description="share of the training over which the radius grows from 0")


class Sgd(Options):
    """Options of stochastic gradient descent with momentum."""

    epochs: int = Field(20, ge=1, description="passes over the training data")
    batch_size: int = Field(100, ge=1, description="samples a step")
    learning_rate: Real = Field(0.1, gt=0, description="rate of the first step")
    decay: Real = Field(1.0, ge=1, description="what the rate is divided by after every step")
    momentum: Real = Field(0.5, ge=0, lt=1, description="momentum of the first epoch")
    final_momentum: Real | None = Field(
        None, ge=0, lt=1, description="momentum it grows to, linearly by epochs; null keeps the first"
    )
    momentum_epochs: int = Field(250, ge=1, description="the epoch, from 1, in which the final momentum is reached")
    nesterov: bool = Field(False, description="Nesterov's form of the momentum")
    max_column_norm: Real | None = Field(
        None, gt=0, description="longest vector of incoming weights of a unit, kept after every step; null for no bound"
    )


class FgsmAdversarial(Sgd):
    """Options of training on a mixture of clean and FGSM losses."""

    alpha: Real = Field(0.5, ge=0, le=1, description="weight of the clean loss; the adversarial one has the rest")
    epsilon: Real = Field(0.25, gt=0, description="length of the step along the gradient's sign, data units")
    clip: bool = Field(False, description="clip the examples to [0, 1]; the paper mentions no clipping")


class NoiseControl(Sgd):
    """Options of training on noisy images."""

    law: Literal["sign", "uniform"] = Field("sign", description="each pixel plus or minus epsilon, or within epsilon")
    epsilon: Real = Field(0.25, gt=0, description="size of the noise, data units")


class Distillation(Options):
    """Options of defensive distillation."""

    temperature: Real = Field(100.0, gt=0, description="what logits are divided by in both trainings")
    epochs: int = Field(50, ge=1, description="passes over the training data, of teacher and student each")
    start_epochs: int = Field(1, ge=1, description="passes at temperature 1 that give both their common start")
    batch_size: int = Field(128, ge=1, description="samples a step")
    learning_rate: Real = Field(0.01, gt=0, description="rate")
    momentum: Real = Field(0.9, ge=0, lt=1, description="momentum")
    nesterov: bool = Field(True, description="Nesterov's form of the momentum")


class Autoencoding(Options):
    """Options of training an autoencoder."""

    epochs: int = Field(20, ge=1, description="passes over the training data")
    batch_size: int = Field(100, ge=1, description="samples a step")
    learning_rate: Real = Field(1e-3, gt=0, description="Adam's rate")
    beta: Real = Field(1.0, ge=0, description="weight of the KL term of a variational autoencoder")


_LOOKS = "how often, while it is trained, to keep 2,500 points, or 64 images, of the generator"


class PackedGan(Options):
    """Options of training a packed GAN on points."""

    packing: int = Field(1, ge=1, description="points the discriminator judges at once; 1 is a plain GAN")
    iterations: int = Field(400_000, ge=1, description="simultaneous updates; the paper's protocol has 400,000")
    batch_size: int = Field(100, ge=2, description="packs a step")
    learning_rate: Real = Field(1e-4, gt=0, description="Adam's rate for both networks")
    beta1: Real = Field(0.8, ge=0, lt=1, description="Adam's first decay rate")
    width: int = Field(200, ge=1, description="maxout units of a hidden layer of the discriminator")
    loss: Loss = Field("non-saturating", description="the generator's: -log D as in the paper, or log(1 - D)")
    updates: Updates = Field("simultaneous", description="both gradients at the same parameters, or one after another")
    looks: int = Field(0, ge=0, description="how often, while it is trained, to keep 2,500 points of the generator")


class PackedImages(Options):
    """Options of training a packed GAN on images; the defaults are those of stacked MNIST in VEEGAN's setting."""

    packing: int = Field(1, ge=1, description="images the discriminator judges at once; 1 is a plain GAN")
    iterations: int = Field(100_000, ge=1, description="steps of the discriminator")
    batch_size: int = Field(64, ge=2, description="packs a step")
    generator_rate: Real = Field(2e-4, gt=0, description="Adam's rate for the generator")
    discriminator_rate: Real = Field(2e-4, gt=0, description="Adam's rate for the discriminator")
    beta1: Real = Field(0.5, ge=0, lt=1, description="Adam's first decay rate")
    beta2: Real = Field(0.999, ge=0, lt=1, description="Adam's second decay rate")
    generator_steps: int = Field(2, ge=1, description="steps of the generator, on the same noise, in an iteration")
    judge: Judge = Field("large", description="discriminator: VEEGAN's setting, or unrolled GAN's")
    width: int = Field(64, ge=1, description="channels of the discriminator's first convolution")
    signed: bool = Field(False, description="show it real images in [-1, 1]; the released setting has them in [0, 1]")
    reshuffle: bool = Field(False, description="another order of the packs in each epoch; the released one keeps it")
    fresh: bool = Field(False, description="the data has single digits; stack three of them, drawn anew for each image")
    looks: int = Field(0, ge=0, description="how often, while it is trained, to keep 64 images of the generator")


class Gan(Options):
    """Options of training a plain GAN; the defaults are those of a small one on MNIST."""

    iterations: int = Field(20_000, ge=1, description="steps of both networks")
    batch_size: int = Field(100, ge=2, description="samples a step")
    optimiser: Optimiser = Field("adagrad", description="of both networks")
    learning_rate: Real = Field(0.1, gt=0, description="of both networks")
    beta1: Real = Field(0.9, ge=0, lt=1, description="Adam's first decay rate, or the momentum of sgd")
    width: int = Field(128, ge=1, description="units of a hidden layer of the discriminator")
    depth: int = Field(1, ge=0, description="hidden layers of the discriminator")
    activation: Activation = Field("leaky-relu", description="between its layers; the leaky ReLU has slope 0.01")
    initial: Initial = Field("glorot", description="law of its first weights")
    loss: Loss = Field("non-saturating", description="the generator's: -log D, or log(1 - D)")
    updates: Updates = Field("alternating", description="the discriminator's step first, or both at once")
    looks: int = Field(0, ge=0, description=_LOOKS)


class Wgan(Options):
    """Options of training a Wasserstein GAN with clipped weights."""

    iterations: int = Field(100_000, ge=1, description="steps of the generator")
    batch_size: int = Field(256, ge=2, description="samples a step")
    learning_rate: Real = Field(5e-5, gt=0, description="RMSprop's rate for both networks")
    critic_steps: int = Field(5, ge=1, description="steps of the critic for each of the generator's")
    clip: Real = Field(0.01, gt=0, description="bound of the critic's weights, set again after each of its steps")
    width: int = Field(512, ge=1, description="ReLU units of a hidden layer of the critic")
    depth: int = Field(3, ge=0, description="hidden layers of the critic")
    looks: int = Field(0, ge=0, description=_LOOKS)


class WganGp(Options):
    """Options of training a Wasserstein GAN with a gradient penalty; the defaults are those of the toy problems."""

    iterations: int = Field(100_000, ge=1, description="steps of the generator")
    batch_size: int = Field(256, ge=2, description="samples a step")
    learning_rate: Real = Field(1e-4, gt=0, description="Adam's rate for both networks")
    beta1: Real = Field(0.5, ge=0, lt=1, description="Adam's first decay rate")
    beta2: Real = Field(0.9, ge=0, lt=1, description="Adam's second decay rate")
    critic_steps: int = Field(5, ge=1, description="steps of the critic for each of the generator's")
    penalty: Real = Field(0.1, ge=0, description="weight of (|gradient| - 1)^2; 10 for images")
    width: int = Field(512, ge=1, description="ReLU units of a hidden layer of the critic")
    depth: int = Field(3, ge=0, description="hidden layers of the critic")
    looks: int = Field(0, ge=0, description=_LOOKS)


class Unrolled(Options):
    """Options of training an unrolled GAN on points."""

    iterations: int = Field(25_000, ge=1, description="steps of both networks")
    batch_size: int = Field(512, ge=2, description="points a step")
    generator_rate: Real = Field(1e-3, gt=0, description="Adam's rate for the generator")
    discriminator_rate: Real = Field(1e-4, gt=0, description="Adam's rate for the discriminator")
    beta1: Real = Field(0.5, ge=0, lt=1, description="Adam's first decay rate")
    unrolled: int = Field(5, ge=0, description="steps of the discriminator that the generator foresees")
    width: int = Field(128, ge=1, description="tanh units of a hidden layer of the discriminator")
    depth: int = Field(2, ge=0, description="hidden layers of the discriminator")
    looks: int = Field(0, ge=0, description=_LOOKS)


class Ali(Options):
    """Options of adversarially learned inference on points."""

    iterations: int = Field(400_000, ge=1, description="steps of all three networks")
    batch_size: int = Field(100, ge=2, description="points a step")
    learning_rate: Real = Field(1e-4, gt=0, description="Adam's rate for all three")
    beta1: Real = Field(0.8, ge=0, lt=1, description="Adam's first decay rate")
    encoder_width: int = Field(400, ge=1, description="units of each of the encoder's two hidden layers")
    width: int = Field(200, ge=1, description="maxout units of a hidden layer of the discriminator")
    looks: int = Field(0, ge=0, description=_LOOKS)


class Veegan(Options):
    """Options of training a VEEGAN on points."""

    iterations: int = Field(100_000, ge=1, description="steps of all three networks")
    batch_size: int = Field(500, ge=2, description="points a step")
    learning_rate: Real = Field(1e-3, gt=0, description="Adam's rate for all three")
    beta1: Real = Field(0.5, ge=0, lt=1, description="Adam's first decay rate")
    width: int = Field(128, ge=1, description="ReLU units of a hidden layer of encoder and discriminator")
    looks: int = Field(0, ge=0, description=_LOOKS)


class ConditionalGan(Options):
    """Options of training a conditional GAN on labelled images."""

    iterations: int = Field(100_000, ge=1, description="steps of both networks")
    batch_size: int = Field(100, ge=2, description="images a step")
    learning_rate: Real = Field(
        0.02, gt=0, description="rate of the first step; the paper's 0.1 makes these networks swing or diverge"
    )
    decay: Real = Field(1.00004, ge=1, description="what the rate is divided by after every step")
    last_rate: Real = Field(1e-6, gt=0, description="the smallest rate")
    momentum: Real = Field(0.5, ge=0, lt=1, description="momentum of the first step")
    final_momentum: Real = Field(0.7, ge=0, lt=1, description="momentum it grows to, along a line")
    momentum_iterations: int = Field(100_000, ge=1, description="iterations the momentum grows over")
    dropout: Real = Field(0.5, ge=0, lt=1, description="share of the joint hidden layers that is dropped")
    max_column_norm: Real | None = Field(
        1.9365, gt=0, description="longest vector of incoming weights of a unit, kept after every step; null: no bound"
    )
    looks: int = Field(0, ge=0, description=_LOOKS)
