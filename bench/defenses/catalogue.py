"""What can be put around a classifier: defences of the literature, and masks to test an audit with."""

from __future__ import annotations

from pydantic import Field

from bench.catalogue import Catalogue, Component, Options, Real


class Declared(Options):
    """An option that all stages before the network share."""

    declared: bool = Field(
        True,
        description="say that the stage is there, so that an attack with `bpda: true` may step over it; false hides "
        "it inside the model",
    )


class Quantisation(Declared):
    """Options of rounding inputs."""

    levels: int = Field(8, ge=2, description="values an input can take, evenly spaced over [0, 1]")


class Thermometer(Declared):
    """Options of thermometer codes."""

    levels: int = Field(10, ge=2, description="bits of the code: thresholds, evenly spaced from 0 up, below 1")


class RandomResize(Options):
    """Options of resizing to a random size."""

    smallest: Real = Field(0.8, gt=0, le=1, description="smallest side, as a share of the image's own")


class LogitScale(Options):
    """Options of scaled logits."""

    factor: Real = Field(1e4, gt=0, description="what the logits are multiplied by")


DEFENSES = Catalogue(
    "defense",
    Component(
        "quantisation",
        "Inputs rounded to a few levels; its gradient is zero.",
        "Xu, Evans, Qi 2018 (feature squeezing), section III; Guo, Rana, Cisse, van der Maaten 2018",
        "bench.defenses.quantisation:quantisation",
        Quantisation,
        traits={"range": (0.0, 1.0)},
    ),
    Component(
        "thermometer",
        "Inputs written in a thermometer code and read as the share of its bits that are set; no gradient passes.",
        "Buckman, Roy, Raffel, Goodfellow 2018 (whose networks are trained on the code; this one reads its mean)",
        "bench.defenses.thermometer:thermometer",
        Thermometer,
        traits={"range": (0.0, 1.0)},
    ),
    Component(
        "random-resize",
        "Images made smaller by a random factor and put at a random place, anew at each pass.",
        "Xie, Wang, Zhang, Ren, Yuille 2018 (who make them larger)",
        "bench.defenses.random_resize:random_resize",
        RandomResize,
    ),
    Component(
        "logit-scale",
        "Logits multiplied by a constant, which saturates the softmax: no defence, a mask.",
        "Carlini and Wagner 2016 (of distilled networks, whose logits are as large)",
        "bench.defenses.logit_scale:logit_scale",
        LogitScale,
    ),
    Component(
        "softmax-output",
        "Probabilities in place of logits: no defence, a mask.",
        "Carlini et al. 2019, section 4",
        "bench.defenses.softmax_output:softmax_output",
        Options,
    ),
    Component(
        "zero-gradient",
        "A network that gives a gradient of zero, whatever the loss: no defence, a mask.",
        "Athalye, Carlini, Wagner 2018, section 3 (shattered gradients)",
        "bench.defenses.zero_gradient:zero_gradient",
        Declared,
    ),
)
