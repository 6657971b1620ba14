"""The training recipes a suite can name."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bench.catalogue import Catalogue, Component, Options, Real


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


class Autoencoding(Options):
    """Options of training an autoencoder."""

    epochs: int = Field(20, ge=1, description="passes over the training data")
    batch_size: int = Field(100, ge=1, description="samples a step")
    learning_rate: Real = Field(1e-3, gt=0, description="Adam's rate")
    beta: Real = Field(1.0, ge=0, description="weight of the KL term of a variational autoencoder")


class PackedGan(Options):
    """Options of training a packed GAN on points."""

    packing: int = Field(1, ge=1, description="points the discriminator judges at once; 1 is a plain GAN")
    iterations: int = Field(400_000, ge=1, description="simultaneous updates; the paper's protocol has 400,000")
    batch_size: int = Field(100, ge=2, description="packs a step")
    learning_rate: Real = Field(1e-4, gt=0, description="Adam's rate for both networks; beta1 is 0.8")


RECIPES = Catalogue(
    "recipe",
    Component(
        "standard",
        "Adam on the cross-entropy of clean images.",
        "Kingma and Ba 2015",
        "bench.training.classifying:standard",
        Standard,
        traits={"kind": "classifier"},
    ),
    Component(
        "adversarial",
        "Adam on the cross-entropy of PGD examples alone.",
        "Madry, Makelov, Schmidt, Tsipras, Vladu 2018, section 2",
        "bench.training.classifying:adversarial",
        Adversarial,
        traits={"kind": "classifier"},
    ),
    Component(
        "autoencoding",
        "Adam on the Bernoulli reconstruction loss, plus beta times the KL term of a VAE.",
        "Kingma and Welling 2014, eq. 10",
        "bench.training.autoencoding:autoencoding",
        Autoencoding,
        traits={"kind": "autoencoder"},
    ),
    Component(
        "packed-gan",
        "Simultaneous Adam steps of a generator and a discriminator that judges several points at once.",
        "Lin, Khetan, Fanti, Oh 2018, section 4.1",
        "bench.training.packing:packed_gan",
        PackedGan,
        traits={"kind": "generator"},
    ),
)
