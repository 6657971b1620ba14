"""A row in two runs: what they have in common, or why they cannot be compared."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bench.results.paired import worsening
from bench.results.snapshot import Gated, Recorded, Snapshot

_LEAST_SHARED = 0.5
"""Share of the baseline's outcomes below which a run is not compared with it."""

Answer = Literal[
    "pass", "improved", "regression", "inconclusive", "new", "missing", "not-measured", "different-data", "incomparable"
]
"""What a gate says of a row. The last four say that it could not be compared, and why."""


@dataclass(frozen=True)
class Comparison:
    """What came of one row.

    Attributes:
        row: Its id.
        answer: The answer.
        sentence: Why, for a reader.
        before: The figure of the baseline; NaN where there is none.
        now: The figure of the run.
        how: ``exact``, ``paired`` or ``trials``; empty where nothing was compared.
        n: Samples that were compared, over all trials.
        lost: Names of the samples that are worse now.
        gained: Names of those that are better.
        p: Adjusted probability of the drop if it were chance; NaN where none was computed.
    """

    row: str
    answer: Answer
    sentence: str
    before: float = math.nan
    now: float = math.nan
    how: str = ""
    n: int = 0
    lost: tuple[str, ...] = ()
    gained: tuple[str, ...] = ()
    p: float = math.nan


@dataclass(frozen=True)
class Pair:
    """A row in both runs, with the samples they share.

    Attributes:
        row: Its id.
        rule: How to compare it.
        before: The row of the baseline.
        now: The row of the run.
        worse: By how much each sample is worse now.
        ids: Their names; with several trials the trial stands before them.
        figures: Those of both, of what they share.
        trials: The figures of each trial of both, where trials are what is compared: they have no samples, or they are
            of models that were trained anew, whose samples fall or stand together.
        noise: Variance that a trial's figure has from its samples alone.
        note: What was left out.
        other_data: Whether the samples have other values under the same names.
    """

    row: str
    rule: Gated
    before: Recorded
    now: Recorded
    worse: NDArray[np.float64]
    ids: Sequence[str]
    figures: tuple[float, float]
    trials: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
    noise: float = 0.0
    note: str = ""
    other_data: bool = False


def pair_up(row: str, rule: Gated, now: Snapshot, before: Snapshot) -> Pair | Comparison:
    """A row with what both runs have of it, or why it cannot be compared."""
    found = now.rows[row]
    if found.status != "ok" or math.isnan(found.value):
        reason = f"{found.status}: {found.message}" if found.status != "ok" else f"no figure: {found.message}"
        return Comparison(row, "not-measured", reason)
    if found.direction == "neither":
        sentence = (
            "its metric has no better direction, so that nothing can be a drop; say `better:` in the suite's gate"
        )
        return Comparison(row, "incomparable", sentence, now=found.value)
    earlier = before.rows.get(row)
    if earlier is None or earlier.status != "ok" or math.isnan(earlier.value):
        sentence = "not in the baseline yet; look at its figure, then write the baseline anew with `bench baseline`"
        return Comparison(row, "new", sentence, now=found.value)
    figures = (earlier.value, found.value)
    other_data = found.data != earlier.data
    if other_data and not (found.samples and found.samples == earlier.samples):
        sentence = (
            f"its data has changed (its hash was {earlier.data[:12]} and is {found.data[:12]}), so that samples cannot "
            f"be compared; if that is meant, write the baseline anew with `bench baseline`"
        )
        return Comparison(row, "different-data", sentence, *figures)
    if not (found.epsilon == earlier.epsilon or math.isnan(found.epsilon) or math.isnan(earlier.epsilon)):
        sentence = (
            f"its radius is {found.epsilon:.9g} and was {earlier.epsilon:.9g}, which its id does not tell apart; if "
            f"that is meant, write the baseline anew with `bench baseline`"
        )
        return Comparison(row, "incomparable", sentence, *figures)
    if found.method != earlier.method:
        sentence = (
            "it is measured in another way than in the baseline (the attacks, what a full audit adds to them, the "
            "metric, their options or versions, the surrogate, the feature network or the number of samples); if that "
            "is meant, write the baseline anew with `bench baseline`"
        )
        return Comparison(row, "incomparable", sentence, *figures)
    if found.direction != earlier.direction or bool(found.samples) != bool(earlier.samples):
        return Comparison(row, "incomparable", "its metric has changed its meaning; write the baseline anew", *figures)
    higher, after, first = found.direction != "lower", now.values(row), before.values(row)
    if not found.samples:
        trials = (np.concatenate(first), np.concatenate(after))
        worse = worsening([earlier.value], [found.value], higher_is_better=higher)
        return Pair(row, rule, earlier, found, worse, (), figures, trials)
    ids, worse, lacking, shared = _joined(row, now, before, higher)
    if len(worse) == 0:
        return Comparison(row, "different-data", "the two runs have no sample in common", *figures)
    retrained = max(len(first), len(after)) > 1 and found.models != earlier.models
    # of other models as many trials are compared as both runs have; of the same ones, all
    whole = sum(int((~np.isnan(values)).sum()) for values in (first[: len(after)] if retrained else first))
    if len(worse) < _LEAST_SHARED * whole:
        sentence = (
            f"the run has {len(worse)} of the baseline's {whole} outcomes: on so few a drop that the baseline could "
            f"show may go unseen; run it on the same samples, or write the baseline anew with `bench baseline`"
        )
        return Comparison(row, "different-data", sentence, *figures, n=len(worse))
    note = f"; compared on the {len(worse)} outcomes that both have ({lacking} are in one alone)" if lacking else ""
    figures = (float(np.mean(shared[0])), float(np.mean(shared[1]))) if lacking else figures
    if retrained:
        noise = float(np.mean([np.nanvar(trial) / max(1, (~np.isnan(trial)).sum()) for trial in (*first, *after)]))
        return Pair(row, rule, earlier, found, worse, ids, figures, shared, noise, note, other_data)
    return Pair(row, rule, earlier, found, worse, ids, figures, note=note, other_data=other_data)


def _joined(
    row: str, now: Snapshot, before: Snapshot, higher: bool
) -> tuple[list[str], NDArray[np.float64], int, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Samples of a row that both runs have, by how much each is worse, how many one run alone has, trials' means."""
    after, first = now.values(row), before.values(row)
    here = {name: place for place, name in enumerate(now.ids(row))}
    there = {name: place for place, name in enumerate(before.ids(row))}
    common = [name for name in here if name in there]
    at_now, at_before = [here[name] for name in common], [there[name] for name in common]
    ids: list[str] = []
    parts: list[NDArray[np.float64]] = []
    total = sum(map(len, after)) + sum(map(len, first))
    for trial in range(min(len(after), len(first)) if common else 0):
        worse = worsening(first[trial][at_before], after[trial][at_now], higher_is_better=higher)
        counted = ~np.isnan(worse)
        prefix = f"trial {trial}: " if max(len(after), len(first)) > 1 else ""
        ids += [prefix + name for name, counts in zip(common, counted.tolist(), strict=True) if counts]
        parts.append(worse[counted])
    joined = np.concatenate(parts) if parts else np.empty(0)
    counted_by_both = [
        [values[places] for values in trials if not np.isnan(values[places]).all()]
        for trials, places in ((first, at_before), (after, at_now))
    ]
    means = tuple(np.array([np.nanmean(values) for values in trials]) for trials in counted_by_both)
    return ids, joined, total - 2 * sum(len(common) for _ in parts), (means[0], means[1])
