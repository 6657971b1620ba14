"""The attacks a suite can name."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from bench.catalogue import Catalogue, Component, Options, Real


class Fgsm(Options):
    """Options of the fast gradient sign method: none."""


class Pgd(Options):
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


class Latent(Options):
    """Options of the latent attack on autoencoders."""

    trade_off: list[Annotated[Real, Field(ge=0)]] = Field(
        [1.0],
        min_length=1,
        description="weights of the distortion; two or more give a curve and its area (AUDDC)",
    )
    steps: int = Field(300, ge=1, description="Adam steps")
    learning_rate: Real = Field(0.02, gt=0, description="Adam's rate")


ATTACKS = Catalogue(
    "attack",
    Component(
        "fgsm",
        "One step of length epsilon along the gradient's sign (linf) or direction (l2).",
        "Goodfellow, Shlens, Szegedy 2015, section 4",
        "bench.attacks.fgsm:fgsm",
        Fgsm,
        traits={"norms": ("linf", "l2"), "against": "classifier"},
    ),
    Component(
        "pgd",
        "Projected gradient descent from random starts, keeping the best point seen.",
        "Madry, Makelov, Schmidt, Tsipras, Vladu 2018, section 2.1",
        "bench.attacks.pgd:pgd",
        Pgd,
        traits={"norms": ("linf", "l2"), "against": "classifier", "transfer": {"keep_going": True}},
    ),
    Component(
        "latent",
        "Moves an image so that its code comes near another image's, at a cost for the distortion.",
        "Tabacof, Tavares, Valle 2016, section 3; Gondim-Ribeiro, Tabacof, Valle 2018",
        "bench.attacks.latent:latent",
        Latent,
        traits={"against": "autoencoder"},
    ),
)
