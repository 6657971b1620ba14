"""Rows of attacks on autoencoders."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from bench.engine.state import NOT_RUN
from bench.results.figures import invalid_note, reconstruction_values
from bench.results.reading import Reader
from bench.results.row import Row
from bench.suite import names
from bench.suite.schema import Use


def autoencoder_rows(reader: Reader, name: str, model: str, uses: Sequence[Use]) -> Iterator[Row]:
    """The rows of one autoencoder in an evaluation."""
    yield rebuilt(reader, name, model, uses)
    for use in uses:
        yield from reconstruction(reader, name, model, use)


def rebuilt(reader: Reader, name: str, model: str, uses: Sequence[Use]) -> Row:
    """How well clean images are rebuilt, without which the other figures of an autoencoder mean little."""
    row = Row(
        names.row_id(name, model, names.CLEAN, "none", "reconstruction_error"),
        name, model, names.CLEAN, "", "none", "", math.nan, "reconstruction_error", direction="lower",
    )  # fmt: skip
    cells = [reader.cells.get((name, model, use.label, None)) for use in uses]
    good = next((cell for cell in cells if cell and not reader.trouble(name, [cell])), None)
    if good is None:
        status, message = reader.trouble(name, cells) or ("not-run", NOT_RUN.message)
        return replace(row, status=status, message=message)
    records = [reader.read(job) for trial in good.trials for job in trial]
    values = [reconstruction_values(record, row.metric, 0) for record in records]
    return reader.figured(row, records[0].meta["ids"], values)


def reconstruction(reader: Reader, name: str, model: str, use: Use) -> Iterator[Row]:
    """The rows of one attack: every trade-off, every metric, and the area under their curve."""
    cell = reader.cells.get((name, model, use.label, None))
    trouble = reader.trouble(name, [cell])
    records = [] if trouble or cell is None else [reader.read(job) for trial in cell.trials for job in trial]
    weights = names.trade_offs(use)
    blanks = [
        Row(
            names.row_id(name, model, use.label, place, metric),
            name, model, use.label, "", place, "", math.nan, metric, direction=direction,
        )
        for place, metric, direction in [
            *(
                (f"trade-off-{names.number(weight)}", metric, direction)
                for weight in weights
                for metric, direction in names.RECONSTRUCTION_METRICS.items()
            ),
            *([("curve", "auddc", "higher")] if len(weights) > 1 else []),
        ]
    ]  # fmt: skip
    for position, row in enumerate(blanks):
        if not records or cell is None:
            status, message = trouble or ("not-run", NOT_RUN.message)
            yield replace(row, status=status, message=message)
            continue
        level = position // len(names.RECONSTRUCTION_METRICS)
        values = [reconstruction_values(record, row.metric, level) for record in records]
        row = reader.figured(row, records[0].meta["ids"], values)
        invalid = sum(int(record.meta["invalid"]) for record in records)
        yield replace(reader.costed(row, [cell]), message=invalid_note(invalid))
