"""Figures that some trials have not: what was waited for did not happen while they were watched."""

from __future__ import annotations

from collections.abc import Sequence

from bench.engine.store import Record


def censored(records: Sequence[Record], key: str) -> str:
    """What to say in place of a mean; empty when every trial has its figure.

    A trial without one is known to be above where it was last watched, and so is the mean of all.

    Args:
        records: One a trial; `values` holds None where there is no figure, `above` what it is above.
        key: Which of the figures.
    """
    values = [record.meta["values"][key] for record in records]
    missing = values.count(None)
    if not missing:
        return ""
    bounds = [
        record.meta["above"][key] if value is None else value for record, value in zip(records, values, strict=True)
    ]
    last = max(record.meta["above"][key] for record, value in zip(records, values, strict=True) if value is None)
    if len(values) == 1:
        return f"never up to {last:,.0f}"
    mean = f"{sum(bounds) / len(bounds):,.0f}"
    return f"never up to {last:,.0f} in {missing} of {len(values)} trials, so that the mean is above {mean}"
