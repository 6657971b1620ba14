"""The metrics a suite can name, by the evaluation they belong to.

`robustness` and `transfer` metrics give one value a sample; `generation` metrics one value a set of samples.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bench.catalogue import Catalogue, Component, Options, Real

Direction = Literal["higher", "lower", "neither"]


FEWEST_LOOKS = 2
"""Looks that a metric of a training needs: with one, nothing could be seen to change."""
POINTS_OF_A_LOOK = 2500
"""Points of a generator that a look keeps, whatever an evaluation draws; as many as `bench.training.contest` makes."""


class NoOptions(Options):
    """No options."""


class Modes(Options):
    """Options of the mode counts; the defaults are PacGAN's definitions."""

    radius: Real = Field(3.0, gt=0, description="standard deviations within which a point is of high quality")
    least: int = Field(1, ge=1, description="high-quality points a mode needs to count as hit")


class CollapseRegion(Options):
    """Options of the mode-collapse region."""

    radius: Real = Field(3.0, gt=0, description="standard deviations within which a point is of high quality")
    packs: int = Field(4, ge=2, le=6, description="points of the largest packs whose distance is measured")


class Features(Options):
    """Options of metrics that compare features."""

    features: str | None = Field(
        None,
        description="classifier, or model of kind `features`, whose features are compared; "
        "null compares the samples themselves",
    )


class Kernel(Features):
    """Options of the kernel distance."""

    subsets: int = Field(
        0, ge=0, description="random subsets whose distances are averaged, 100 as published; 0 for all samples at once"
    )
    subset_size: int = Field(1000, ge=2, description="samples of a subset; only where there are `subsets`")


class Digits(Options):
    """Options of mode counts of stacked MNIST."""

    classifier: str = Field(description="classifier of this suite that tells the ten digits apart")


class InceptionScore(Options):
    """Options of the inception score."""

    classifier: str = Field(description="classifier of this suite whose probabilities are taken")
    splits: int = Field(10, ge=1, description="parts of the samples, whose scores are averaged")


class Neighbours(Features):
    """Options of precision, recall, density and coverage."""

    k: int = Field(5, ge=1, description="which neighbour of one's own set is as far as a neighbourhood reaches")


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
        "Modes hit, share of points near a mode, and divergences of the mode histogram, for a mixture.",
        "Srivastava et al. 2017; Lin et al. 2018, section 4.1",
        "bench.metrics.modes:mode_coverage",
        Modes,
        version=2,
        traits={
            "for": ("generation",),
            "rows": {
                "modes": "higher",
                "high_quality": "higher",
                "reverse_kl": "lower",
                "reverse_kl_all": "lower",
                "jsd": "lower",
            },
            "mixture": True,
            "shares": ("high_quality",),
        },
    ),
    Component(
        "history",
        "Over a training that keeps `looks`: when all modes of a mixture are first hit, and how often one is lost.",
        "Lin et al. 2018, section 4.1, at each look instead of at the end",
        "bench.metrics.history:mode_history",
        Modes,
        traits={
            "for": ("generation",),
            "rows": {"iterations_to_all_modes": "lower", "modes_lost": "lower"},
            "mixture": True,
            "looks": True,
        },
    ),
    Component(
        "collapse_region",
        "Total variation between the modes of samples and a mixture's own, of single points and of packs of several.",
        "Lin, Khetan, Fanti, Oh 2018, section 3",
        "bench.metrics.mode_collapse:mode_collapse",
        CollapseRegion,
        traits={
            "for": ("generation",),
            "rows": {"total_variation": "lower"},
            "numbered": ("total_variation", "packs"),
            "mixture": True,
            "bounded": True,  # by 0 and 1, though no share of samples
        },
    ),
    Component(
        "frechet",
        "Frechet distance between Gaussians fitted to features of samples and of data.",
        "Heusel et al. 2017, eq. 6",
        "bench.metrics.frechet:frechet",
        Features,
        version=3,
        traits={"for": ("generation",), "rows": {"frechet": "lower"}, "network": "features"},
    ),
    Component(
        "kernel_distance",
        "Squared discrepancy of features under a cubic kernel, without bias; with Inception's features, KID.",
        "Binkowski, Sutherland, Arbel, Gretton 2018, section 4",
        "bench.metrics.kernel_distance:kernel_distance",
        Kernel,
        version=2,
        traits={
            "for": ("generation",),
            "rows": {"kernel_distance": "lower"},
            "network": "features",
            "signed": True,
        },
    ),
    Component(
        "prdc",
        "Precision, recall, density and coverage: which samples lie among the neighbours of which.",
        "Kynkaanniemi et al. 2019, eq. 2; Naeem et al. 2020, section 3",
        "bench.metrics.prdc:prdc",
        Neighbours,
        version=2,
        traits={
            "for": ("generation",),
            "rows": {"precision": "higher", "recall": "higher", "density": "higher", "coverage": "higher"},
            "shares": ("precision", "recall", "coverage"),
            "of_data": ("recall", "coverage"),
            "network": "features",
        },
    ),
    Component(
        "stacked_modes",
        "Combinations of digits hit, and reverse KL of their histogram, for stacked MNIST.",
        "Srivastava et al. 2017, section 5.2; Lin et al. 2018, section 4.2",
        "bench.metrics.stacked:stacked_modes",
        Digits,
        traits={
            "for": ("generation",),
            "rows": {"modes": "higher", "reverse_kl": "lower"},
            "network": "classifier",
            "any_range": True,
        },
    ),
    Component(
        "inception_score",
        "How sure a classifier is of each sample, and how many classes it sees among all.",
        "Salimans et al. 2016, section 4",
        "bench.metrics.inception_score:inception_score",
        InceptionScore,
        traits={"for": ("generation",), "rows": {"inception_score": "higher"}, "network": "classifier"},
    ),
)
