"""Rows of generators and of real data."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from bench.engine.state import NOT_RUN
from bench.metrics.catalogue import METRICS
from bench.results import statistics
from bench.results.censored import censored
from bench.results.figures import Figures, common_note
from bench.results.reading import Reader
from bench.results.row import Row
from bench.suite import names
from bench.suite.schema import Generation, Use


def generator_rows(reader: Reader, name: str, block: Generation, model: str, use: Use) -> Iterator[Row]:
    """The rows of one metric of a generator, or of real data."""
    cell = reader.cells.get((name, model, use.label, None))
    trouble = reader.trouble(name, [cell])
    traits = {} if use.imported else METRICS[use.name].traits
    shares, of_data = traits.get("shares", ()), traits.get("of_data", ())
    for key, (metric, direction) in zip(names.metric_keys(use), names.metric_rows(use).items(), strict=True):
        row = Row(
            names.row_id(name, model, block.data, metric),
            name, model, "", "", block.data, "", math.nan, metric, direction=direction,
        )  # fmt: skip
        if trouble or cell is None:
            status, message = trouble or ("not-run", NOT_RUN.message)
            yield replace(row, status=status, message=message)
            continue
        records = [reader.read(job) for trial in cell.trials for job in trial]
        meta = records[0].meta
        n, note = int(meta["reference_n" if key in of_data else "n"]), common_note(records)
        row = replace(reader.costed(row, [cell]), n=n, trials=len(records), message=note)
        row = replace(row, basis=str(meta.get("basis", "")))
        if never := censored(records, key):
            yield replace(row, message=f"{never}; {note}")
            continue
        values = [float(record.meta["values"][key]) for record in records]
        reader.figures[row.row] = Figures((), tuple(np.array([value]) for value in values))
        least = -math.inf if use.imported or traits.get("signed") else 0.0
        most = 1.0 if key in shares or traits.get("bounded") else math.inf
        interval = statistics.mean(values, least=least, most=most)
        if len(values) == 1 and key in shares:
            interval = statistics.SHARES[reader.suite.intervals](values[0] * n, n)
        yield replace(row, value=interval.value, low=interval.low, high=interval.high)
