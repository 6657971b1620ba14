"""The options of our attacks, with their defaults, ranges and units."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from bench.catalogue import Options, Real


class GradientOptions(Options):
    """Options that every attack by gradients has."""

    eot: int = Field(1, ge=1, description="passes averaged at each step, for models that are random")
    bpda: bool = Field(False, description="step over the model's declared stages by their substitutes' gradients")
    temperature: Real = Field(1.0, gt=0, description="what the logits are divided by while attacking")


class Loss(GradientOptions):
    """Options of attacks that ascend a loss of one's choice."""

    loss: Literal["cross-entropy", "margin", "dlr"] = Field(
        "cross-entropy", description="what to ascend: cross-entropy, difference of logits, difference of logits ratio"
    )


class Fgsm(Loss):
    """Options of the fast gradient sign method."""


class Iterative(Loss):
    """Options of attacks that take many steps from the clean image."""

    steps: int = Field(10, ge=1, description="gradient steps")
    step_size: Real | None = Field(
        None, gt=0, description="length of a step in the threat's norm, data units; null takes epsilon / steps"
    )
    keep_going: bool = Field(
        False, description="go on after success, for the most confident example (transfer evaluations do)"
    )


class MomentumIterative(Iterative):
    """Options of the momentum iterative method."""

    decay: Real = Field(1.0, ge=0, description="share of the sum of gradients that a step keeps")


class Pgd(Loss):
    """Options of projected gradient descent."""

    steps: int = Field(40, ge=1, description="gradient steps a restart")
    step_size: Real | None = Field(
        None,
        gt=0,
        description="length of a step in the threat's norm, data units; null takes 2.5 epsilon / steps",
    )
    restarts: int = Field(1, ge=1, description="starts a sample at the most")
    start: Literal["random", "clean"] = Field("random", description="where the first restart begins")
    keep_going: bool = Field(
        False, description="go on after success, for the most confident example (transfer evaluations do)"
    )


class Apgd(GradientOptions):
    """Options of Auto-PGD."""

    steps: int = Field(100, ge=1, description="gradient steps a restart")
    restarts: int = Field(1, ge=1, description="starts a sample at the most")


class ApgdTargeted(Apgd):
    """Options of targeted Auto-PGD."""

    targets: int = Field(9, ge=1, description="most likely other classes to aim at; fewer where there are fewer")


class L1Apgd(Apgd):
    """Options of Auto-PGD under l1."""

    loss: Literal["cross-entropy", "dlr"] = Field("cross-entropy", description="what to ascend")
    schedule: bool = Field(True, description="begin in balls of three and two times the radius")


class FabTargeted(GradientOptions):
    """Options of the targeted fast adaptive boundary attack."""

    steps: int = Field(100, ge=1, description="steps towards the boundary a target")
    targets: int = Field(9, ge=1, description="most likely other classes to aim at; fewer where there are fewer")
    alpha_max: Real = Field(0.1, gt=0, le=1, description="largest weight of the projection from the clean image")
    overshoot: Real = Field(1.05, ge=1, description="how far past the linearised boundary a step goes")
    backward: Real = Field(0.9, gt=0, lt=1, description="share of the way kept when pulled back to the clean image")


class DeepFool(GradientOptions):
    """Options of DeepFool."""

    steps: int = Field(50, ge=1, description="linearisations at the most")
    overshoot: Real = Field(0.02, ge=0, description="share by which the perturbation is lengthened at the end")
    candidates: int = Field(10, ge=2, description="most likely classes whose boundaries are looked at")


class CarliniWagner(GradientOptions):
    """Options of Carlini and Wagner's l2 attack."""

    searches: int = Field(9, ge=1, description="binary search steps over the weight of success")
    steps: int = Field(1000, ge=1, description="Adam steps a search step; the paper's experiments have 10,000")
    learning_rate: Real = Field(0.01, gt=0, description="Adam's rate in the variable of the tanh")
    weight: Real = Field(
        1e-3, gt=0, description="first weight of the margin against the squared distance, in widths of the box"
    )
    confidence: Real = Field(0.0, ge=0, description="margin in logits the example must have")
    abort_early: bool = Field(True, description="end a search step when a tenth of it brought no progress")


class Ddn(GradientOptions):
    """Options of the decoupled direction and norm attack."""

    steps: int = Field(1000, ge=1, description="gradient steps")
    norm_step: Real = Field(0.05, gt=0, lt=1, description="share by which the norm shrinks or grows a step")


class Fmn(GradientOptions):
    """Options of the fast minimum-norm attack."""

    steps: int = Field(1000, ge=1, description="gradient steps")
    step_size: Real = Field(
        3.0, gt=0, description="first l2 length of a step, in widths of the box; it falls to a hundredth along a cosine"
    )
    radius_step: Real = Field(
        0.05, gt=0, lt=1, description="first share by which the radius changes a step; it falls to a hundredth"
    )


class Square(Options):
    """Options of the square attack."""

    queries: int = Field(5000, ge=1, description="forward passes a restart at the most")
    restarts: int = Field(1, ge=1, description="starts a sample at the most")
    share: Real = Field(0.8, gt=0, le=1, description="share of the image the first squares change")
    rescale: bool = Field(True, description="stretch the schedule of shrinking squares to the number of queries")


class AutoAttack(GradientOptions):
    """Options of AutoAttack."""

    version: Literal["standard", "rand"] = Field(
        "standard",
        description="standard: APGD-CE, APGD-T, FAB-T, Square; rand: APGD-CE, APGD-DLR with 20 passes a step",
    )


class Noise(Options):
    """Options of random noise."""

    law: Literal["sign", "uniform"] = Field(
        "uniform", description="sign: each entry plus or minus epsilon (l2: length epsilon); uniform: in the ball"
    )
    repeats: int = Field(1, ge=1, description="draws a sample, of which the worst counts")


class Latent(Options):
    """Options of the latent attack on autoencoders."""

    trade_off: list[Annotated[Real, Field(ge=0)]] = Field(
        [1.0],
        min_length=1,
        description="weights of the distortion; two or more give a curve and its area (AUDDC)",
    )
    steps: int = Field(300, ge=1, description="Adam steps")
    learning_rate: Real = Field(0.02, gt=0, description="Adam's rate")
