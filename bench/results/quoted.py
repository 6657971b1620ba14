"""Figures of papers, put beside ours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from bench.results.row import Row
from bench.suite import names
from bench.suite.schema import Quote

QUOTED_ONLY = "quoted only: this suite has no such model"


def with_quotes(rows: Sequence[Row], quotes: Sequence[Quote]) -> list[Row]:
    """The rows with what is quoted for them, and those of models that are only quoted behind the others of their kind.

    Args:
        rows: All rows of a suite.
        quotes: Each names one of these rows, or one that differs in the model alone.
    """
    given = {quote.row: quote for quote in quotes}
    ours = [_quoted(row, given[row.row]) if row.row in given else row for row in rows]
    known = {row.row for row in rows}
    for quote in quotes:
        if quote.row in known:
            continue
        model, kind = names.without_model(quote.row)
        alike = [index for index, row in enumerate(ours) if names.without_model(row.row)[1] == kind]
        pattern = ours[alike[-1]]
        alone = Row(
            quote.row, pattern.evaluation, model, pattern.attack, pattern.surrogate, pattern.threat, pattern.norm,
            pattern.epsilon, pattern.metric, direction=pattern.direction, message=QUOTED_ONLY,
        )  # fmt: skip
        ours.insert(alike[-1] + 1, _quoted(alone, quote))
    return ours


def _quoted(row: Row, quote: Quote) -> Row:
    deviation = math.nan if quote.plus_minus is None else quote.plus_minus
    source = f"{quote.source}; copied there from {quote.copied_from}" if quote.copied_from else quote.source
    return replace(row, quoted=quote.value, quoted_plus_minus=deviation, quoted_source=source)
