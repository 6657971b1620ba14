"""The metrics a suite can name, by the evaluation they belong to.

`robustness` and `transfer` metrics give one value a sample; `generation` metrics one value a set of samples.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bench.catalogue import Catalogue, Component, Options

Direction = Literal["higher", "lower", "neither"]


class NoOptions(Options):
    """No options."""


class Frechet(Options):
    """Options of the Frechet distance."""

    features: str | None = Field(
        None,
        description="classifier of this suite whose features are compared; null compares the samples themselves",
    )


METRICS = Catalogue(
    "metric",
    Component(
        "robust_accuracy",
        "Share of all samples that stay correctly classified; misclassified ones count as broken.",
        "Croce et al. 2021 (RobustBench)",
        "bench.metrics.classification:robust_accuracy",
        NoOptions,
        traits={"for": ("robustness", "transfer"), "rows": {"robust_accuracy": "higher"}},
    ),
    Component(
        "confidence",
        "Mean largest softmax probability over the samples that are broken.",
        "Goodfellow, Shlens, Szegedy 2015, section 4",
        "bench.metrics.classification:confidence",
        NoOptions,
        traits={"for": ("robustness", "transfer"), "rows": {"confidence": "lower"}},
    ),
    Component(
        "success_rate",
        "Share of attacks that succeed, among the samples every model of the evaluation gets right.",
        "Liu et al. 2017; TransferAttack's protocol",
        "bench.metrics.classification:success_rate",
        NoOptions,
        traits={"for": ("robustness", "transfer"), "rows": {"success_rate": "lower"}},
    ),
    Component(
        "modes",
        "Modes hit, share of points near a mode, and reverse KL of the mode histogram, for a mixture.",
        "Srivastava et al. 2017; Lin et al. 2018, section 4.1",
        "bench.metrics.modes:mode_coverage",
        NoOptions,
        traits={
            "for": ("generation",),
            "rows": {"modes": "higher", "high_quality": "higher", "reverse_kl": "lower"},
            "mixture": True,
            "shares": ("high_quality",),
        },
    ),
    Component(
        "frechet",
        "Frechet distance between Gaussians fitted to features of samples and of data.",
        "Heusel et al. 2017, eq. 6; computed by torchmetrics",
        "bench.metrics.frechet:frechet",
        Frechet,
        traits={"for": ("generation",), "rows": {"frechet": "lower"}},
    ),
)
