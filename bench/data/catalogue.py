"""The data sources a suite can name."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from bench.catalogue import Catalogue, Component, Options, Real


def _ascending(values: tuple[float, float]) -> tuple[float, float]:
    if not values[0] < values[1]:
        raise ValueError(f"expected [smallest, largest], found [{values[0]:g}, {values[1]:g}]")
    return values


Range = Annotated[tuple[Real, Real], AfterValidator(_ascending)]
"""Smallest and largest value an input may take, in that order."""
_RANGE = Field((0.0, 1.0), strict=False, description="smallest and largest value an input may take")


_USES: list[str] = Field(
    default_factory=list,
    description="paths and environment variables that the code uses and that bench cannot see it use",
)


class DataOptions(Options):
    """Options every source has."""

    take: int | None = Field(None, ge=1, description="how many samples to use; all when left out")
    skip: int = Field(0, ge=0, description="how many samples to leave out at the start")


class Mnist(DataOptions):
    """Options of the MNIST that ships with the package."""

    split: Literal["train", "test"] = Field("test", description="the 60,000 training or 10,000 test images")


def _distinct(values: list[int]) -> list[int]:
    if len(set(values)) < len(values):
        raise ValueError(f"expected different classes, found {values}")
    return values


class MnistClasses(Mnist):
    """Options of some of MNIST's classes."""

    classes: Annotated[list[Annotated[int, Field(ge=0, le=9)]], AfterValidator(_distinct)] = Field(
        [3, 7], min_length=2, description="digits to keep; the first becomes class 0, the second class 1, and so on"
    )


class Mixture(DataOptions):
    """Options of a mixture of Gaussians in the plane."""

    samples: int = Field(100_000, ge=1, description="points to draw")
    seed: int = Field(0, ge=0, description="seed of the points")


class StackedMnist(DataOptions):
    """Options of stacked MNIST."""

    samples: int = Field(128_000, ge=1, description="images to stack; PacGAN's fixed set has 128,000")
    split: Literal["train", "test", "all"] = Field("all", description="the digits to draw from; all has 70,000")
    seed: int = Field(0, ge=0, description="seed of the draws")


class Npz(DataOptions):
    """Options of arrays in a file of NumPy's .npz format."""

    path: str = Field(description="the file; relative paths start at the folder bench is run from")
    x: str = Field("x", description="name of the array of inputs: (n, ...) floats in `range`, or uint8")
    y: str | None = Field("y", description="name of the array of classes: (n,) integers; null when there is none")
    range: Range = _RANGE


class Folder(DataOptions):
    """Options of images in a folder, one subfolder a class."""

    path: str = Field(description="the folder; classes are its subfolders in alphabetical order")
    size: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] | None = Field(
        None, strict=False, description="height and width to resize to; null keeps the images'"
    )
    mode: Literal["RGB", "L"] = Field("RGB", description="colour (RGB) or grey (L)")


class Imported(DataOptions):
    """Options of a function of yours that returns the data."""

    args: dict[str, Any] = Field(default_factory=dict, description="keyword arguments for the function")
    uses: list[str] = _USES
    range: Range = _RANGE


class Torchvision(DataOptions):
    """Options of a data set class of torchvision."""

    dataset: str = Field(description="name of a class in torchvision.datasets, such as CIFAR10")
    root: str = Field("data", description="folder the files are in, or are downloaded to")
    args: dict[str, Any] = Field(default_factory=dict, description="keyword arguments, such as {train: false}")
    uses: list[str] = _USES
    download: bool = Field(True, description="download the files when they are missing and the class can")


DATA = Catalogue(
    "data source",
    Component(
        "mnist",
        "Handwritten digits, 28x28 grey images in [0, 1], ten classes; ships with the package.",
        "LeCun, Cortes, Burges 1998; CC BY-SA 3.0",
        "bench.data.mnist:Mnist",
        Mnist,
        traits={"shape": (1, 28, 28)},
    ),
    Component(
        "mnist-classes",
        "Those of MNIST's images that show some of the digits, with classes from 0 in the order given.",
        "LeCun, Cortes, Burges 1998; 3 against 7: Goodfellow, Shlens, Szegedy 2015, section 5",
        "bench.data.mnist:MnistClasses",
        MnistClasses,
        traits={"shape": (1, 28, 28)},
    ),
    Component(
        "stacked-mnist",
        "Three random digits of MNIST as the channels of one 28x28 image in [0, 1]: a thousand classes.",
        "Metz et al. 2017; Srivastava et al. 2017; Lin et al. 2018 (PacGAN), section 4.2",
        "bench.data.stacked:StackedMnist",
        StackedMnist,
        traits={"shape": (3, 28, 28)},
    ),
    Component(
        "grid25",
        "Points from 25 Gaussians on the grid {-4,-2,0,2,4} squared, standard deviation 0.05.",
        "Lin et al. 2018 (PacGAN), section 4.1",
        "bench.data.mixtures:Mixture",
        Mixture,
        traits={"mixture": "grid25", "shape": (2,)},
    ),
    Component(
        "ring8",
        "Points from 8 Gaussians on the unit circle, standard deviation 0.01.",
        "Lin et al. 2018 (PacGAN), section 4.1",
        "bench.data.mixtures:Mixture",
        Mixture,
        traits={"mixture": "ring8", "shape": (2,)},
    ),
    Component(
        "grid25-wgan",
        "The same grid divided by 2.828, and with it its standard deviation.",
        "Gulrajani et al. 2017 (WGAN-GP), released toy experiments",
        "bench.data.mixtures:Mixture",
        Mixture,
        traits={"mixture": "grid25-wgan", "shape": (2,)},
    ),
    Component(
        "ring8-wgan",
        "Points from 8 Gaussians on a circle of radius 2, standard deviation 0.02, both divided by 1.414.",
        "Gulrajani et al. 2017 (WGAN-GP), released toy experiments",
        "bench.data.mixtures:Mixture",
        Mixture,
        traits={"mixture": "ring8-wgan", "shape": (2,)},
    ),
    Component(
        "ring8-unrolled",
        "Points of a ring whose eighth Gaussian lies on the first: 7 modes, one of them twice as likely.",
        "Metz et al. 2017 (unrolled GAN), released notebook, whose angles include both 0 and a full turn",
        "bench.data.mixtures:Mixture",
        Mixture,
        traits={"mixture": "ring8-unrolled", "shape": (2,)},
    ),
    Component("npz", "Arrays of yours in an .npz file.", "numpy.savez", "bench.data.npz:Npz", Npz),
    Component(
        "folder",
        "Images of yours, one subfolder a class, in an order that does not depend on the folder's.",
        "the layout of torchvision's ImageFolder",
        "bench.data.folder:Folder",
        Folder,
    ),
    Component(
        "torchvision",
        "Any data set class of torchvision.datasets: used when present, downloaded when it can be.",
        "torchvision.datasets",
        "bench.data.imported:torchvision_dataset",
        Torchvision,
    ),
)
