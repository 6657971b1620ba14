"""The checks behind a verdict."""

from __future__ import annotations

from bench.catalogue import Catalogue, Component, Options

QUICK, FULL = ("quick", "full"), ("full",)
"""The levels of audit that a check belongs to."""

RESCUE_VERSION = 7
"""Raised when the behaviour of the rescue changes (`bench.audit.rescue`); part of the keys of its jobs."""
RESCUE_USES = ("autoattack", "square", "l1-apgd", "pgd")
"""The attacks that the rescue runs; their versions are part of the same keys."""

CHECKS = Catalogue(
    "check",
    Component(
        "gradients",
        "The share of samples whose input gradient is zero or not finite, for two losses.",
        "Pintor et al. 2022, indicator 1; Carlini et al. 2019, section 4",
        "bench.audit.gradients:gradients",
        Options,
        traits={"in": QUICK},
    ),
    Component(
        "answers",
        "Randomness, weights that change, other answers for gradients or in a batch, evaluation mode, probabilities.",
        "Athalye, Carlini, Wagner 2018, section 4.2; Carlini et al. 2019, section 4",
        "bench.audit.answers:answers",
        Options,
        version=3,
        traits={"in": QUICK},
    ),
    Component(
        "radii",
        "PGD at the largest radius, at twice that and without bounds, which has to break every sample.",
        "Carlini et al. 2019, section 5.4; Athalye, Carlini, Wagner 2018, section 3.1",
        "bench.audit.radii:radii",
        Options,
        version=2,
        traits={"uses": ("pgd", "l1-apgd"), "in": QUICK},
    ),
    Component(
        "rescaled",
        "The same attack on the model and on a copy whose logits are divided by their scale.",
        "Carlini and Wagner 2016; Croce and Hein 2020, section 3",
        "bench.audit.rescaled:rescaled",
        Options,
        version=3,
        traits={"uses": ("pgd", "l1-apgd"), "in": QUICK},
    ),
    Component(
        "stronger",
        "A short Auto-PGD on the samples that the attacks left standing nearest to the decision boundary.",
        "Carlini et al. 2019, section 4; Croce and Hein 2020",
        "bench.audit.stronger:stronger",
        Options,
        version=3,
        traits={"uses": ("apgd-ce", "apgd-t", "pgd", "l1-apgd"), "in": QUICK},
    ),
    Component(
        "gradient-free",
        "Square, noise, one step and the evaluation's lesser attacks, compared with better gradient attacks by sample.",
        "Carlini et al. 2019, sections 5.6 and 5.9; Athalye, Carlini, Wagner 2018, section 3.1",
        "bench.audit.gradient_free:gradient_free",
        Options,
        version=3,
        traits={
            "compares": True,
            "uses": ("square", "noise", "fgsm", "apgd-ce", "apgd-t", "pgd"),
            "in": QUICK,
            "after": "stronger",
        },
    ),
    Component(
        "transfer",
        "Examples that attacks made for the other models of the evaluation, compared in the same way.",
        "Carlini et al. 2019, section 5.6; Pintor et al. 2022, indicator 5",
        "bench.audit.transferred:transferred",
        Options,
        version=3,
        traits={"in": QUICK, "after": "stronger", "others": True},
    ),
    Component(
        "watched",
        "An attack run again on a few samples and watched: silent successes, zero gradients, progress.",
        "Pintor et al. 2022, indicators 1, 3 and 4",
        "bench.audit.watched:watched",
        Options,
        version=3,
        traits={"in": QUICK, "each": "attack"},
    ),
    Component(
        "planted",
        "An attack run on models with planted examples: one linear, a bump, a valley.",
        "Zimmermann, Brendel, Tramer, Carlini 2022",
        "bench.audit.planted:planted",
        Options,
        traits={"in": QUICK, "each": "attack", "model": False},
    ),
    Component(
        "more-steps",
        "An attack with twice its steps, or queries, on the samples it left standing nearest to the boundary.",
        "Carlini et al. 2019, section 5.2",
        "bench.audit.more:more",
        Options,
        version=2,
        traits={"in": FULL, "each": "attack", "raises": ("steps", "queries")},
    ),
    Component(
        "more-restarts",
        "An attack with four more restarts, on the same.",
        "Carlini et al. 2019, section 5.2",
        "bench.audit.more:more",
        Options,
        version=2,
        traits={"in": FULL, "each": "attack", "raises": ("restarts",)},
    ),
    Component(
        "autoattack",
        "AutoAttack on the samples that stand nearest to the decision boundary.",
        "Croce and Hein 2020",
        "bench.audit.stronger:with_autoattack",
        Options,
        version=3,
        traits={"uses": ("apgd-ce", "apgd-t", "fab-t", "square", "l1-apgd"), "in": FULL},
    ),
    Component(
        "gradient-free-long",
        "Square with 2,000 queries and 10,000 draws of noise, compared with AutoAttack's gradient parts by sample.",
        "Carlini et al. 2019, sections 5.6 and 5.9",
        "bench.audit.gradient_free:gradient_free_long",
        Options,
        version=3,
        traits={"uses": ("square", "noise", "fgsm"), "in": FULL, "after": "autoattack"},
    ),
)


def checks_of(audit: str) -> list[Component]:
    """The checks that an audit runs: ``off``, ``quick`` or ``full``.

    >>> [len(checks_of(audit)) for audit in ("off", "quick", "full")]
    [0, 9, 13]
    """
    return [check for check in CHECKS.values() if audit in check.traits["in"]]
