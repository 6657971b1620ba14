"""The architectures a suite can name."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bench.catalogue import Catalogue, Component, Options

Size = Annotated[int, Field(ge=1)]
_SHAPE = Field((1, 28, 28), strict=False, description="channels, height and width of an image")


class Softmax(Options):
    """Options of softmax regression."""

    shape: tuple[Size, Size, Size] = _SHAPE
    classes: int = Field(10, ge=2, description="number of classes")


class Mlp(Softmax):
    """Options of a fully connected classifier."""

    hidden: list[Size] = Field([200, 200], min_length=1, description="widths of the hidden layers")


class CnnSmall(Softmax):
    """Options of the small convolutional classifier."""

    width: int = Field(16, ge=1, description="channels of the first convolution; the second has twice as many")


class Autoencoder(Options):
    """Options of the fully connected autoencoders."""

    shape: tuple[Size, Size, Size] = _SHAPE
    hidden: list[Size] = Field([512, 512], min_length=1, description="widths of the encoder's hidden layers")
    latent: int = Field(20, ge=1, description="length of a code")


class GanGrid(Options):
    """Options of the generator of the two-dimensional experiments."""

    latent: int = Field(2, ge=1, description="length of a noise vector, N(0, I)")
    width: int = Field(400, ge=1, description="units of a hidden layer")
    depth: int = Field(4, ge=1, description="hidden layers")


MODELS = Catalogue(
    "architecture",
    Component(
        "softmax",
        "Softmax regression on the flattened image.",
        "Goodfellow, Shlens, Szegedy 2015, section 4",
        "bench.models.classifiers:softmax",
        Softmax,
        traits={"kind": "classifier"},
    ),
    Component(
        "mlp",
        "A fully connected ReLU classifier.",
        "the 200-200 substitute of Papernot et al. 2017",
        "bench.models.classifiers:mlp",
        Mlp,
        traits={"kind": "classifier"},
    ),
    Component(
        "cnn-small",
        "Two strided convolutions and a layer of 100.",
        "Wong and Kolter 2018, section 5",
        "bench.models.classifiers:cnn_small",
        CnnSmall,
        traits={"kind": "classifier"},
    ),
    Component(
        "autoencoder",
        "A fully connected deterministic autoencoder.",
        "Tabacof, Tavares, Valle 2016, section 4",
        "bench.models.autoencoders:autoencoder",
        Autoencoder,
        traits={"kind": "autoencoder"},
    ),
    Component(
        "vae",
        "A fully connected variational autoencoder; also a generator of images.",
        "Kingma and Welling 2014; Tabacof, Tavares, Valle 2016, section 4",
        "bench.models.autoencoders:vae",
        Autoencoder,
        traits={"kind": "autoencoder", "generates": True},
    ),
    Component(
        "gan-grid",
        "The generator of PacGAN's two-dimensional experiments: four layers of 400 with batch norm.",
        "Lin, Khetan, Fanti, Oh 2018, section 4.1",
        "bench.models.gans:gan_grid",
        GanGrid,
        traits={"kind": "generator"},
    ),
)
