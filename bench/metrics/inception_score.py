"""The inception score, with any classifier."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bench.errors import MetricError
from bench.metrics.features import Network, features_of


def score(logits: Tensor, *, splits: int = 10) -> tuple[float, float]:
    """Exp of the mean of KL(p(y|x) || p(y)): mean and standard deviation over consecutive parts of the samples.

    Args:
        logits: A classifier's, shape (n, classes), n at least `splits`.
        splits: Parts, each with a p(y) of its own.

    Returns:
        Mean and standard deviation; the mean lies between 1 (all answers alike) and the number of classes.

    Raises:
        MetricError: Another shape, too few samples, or values that are not finite.

    Source: Salimans et al. 2016, section 4; the parts, the released code.

    >>> score(100 * torch.eye(4).repeat(2, 1), splits=2)
    (4.0, 0.0)
    """
    if logits.ndim != 2 or len(logits) < splits:
        raise MetricError(
            f"expected logits of shape (n, classes) with n at least {splits}, found {tuple(logits.shape)}"
        )
    if not bool(torch.isfinite(logits).all()):
        raise MetricError("the classifier's logits hold NaN or infinite values")
    log_shares = logits.double().log_softmax(1)
    scores = []
    for part in torch.tensor_split(log_shares, splits):
        mean = torch.logsumexp(part, 0) - math.log(len(part))
        scores.append((part.exp() * (part - mean)).sum(1).mean().exp())
    found = torch.stack(scores)
    return float(found.mean()), float(found.std(correction=0))


def inception_score(
    samples: Tensor,
    reference: Tensor,  # noqa: ARG001
    *,
    classifier: Network,
    splits: int,
) -> dict[str, float]:
    """The row of the `inception_score` metric."""
    return {"inception_score": score(features_of(samples, classifier), splits=splits)[0]}
