"""Rows of the leaderboard: views, computed from the outcomes of jobs and never stored as truth."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from bench.engine.state import JobState
from bench.results.autoencoder_rows import autoencoder_rows
from bench.results.classifier_rows import robustness_rows, transfer_rows
from bench.results.figures import Figures
from bench.results.generator_rows import generator_rows
from bench.results.quoted import with_quotes
from bench.results.reading import Reader
from bench.results.row import Row
from bench.results.verdicts import Judged
from bench.suite import names
from bench.suite.jobs import Plan
from bench.suite.schema import Reconstruction, Robustness, Transfer
from bench.suite.spec import Suite

NOT_ASKED = "left out by --only"


class Table(NamedTuple):
    """The rows of a run.

    Attributes:
        rows: In the suite's order.
        figures: What the rows with a figure are computed from, by row id.
        judged: What the audits say, by evaluation and model.
    """

    rows: list[Row]
    figures: Mapping[str, Figures]
    judged: Mapping[tuple[str, str], Judged]


def make_rows(suite: Suite, plan: Plan, states: Mapping[str, JobState], wanted: Collection[str] | None = None) -> Table:
    """All rows of a suite, in its order, each with a figure or with the reason why there is none.

    Args:
        suite: The suite.
        plan: Its jobs and cells.
        states: How the jobs ended.
        wanted: The rows the run was asked for; None for all.
    """
    rows = []
    reader = Reader(suite, plan, states)
    for row in with_quotes(list(_all(reader)), suite.quoted):
        left_out = wanted is not None and row.row not in wanted and row.status == "not-run"
        rows.append(replace(row, seed=suite.seed, message=NOT_ASKED if left_out else row.message))
    return Table(rows, reader.figures, reader.judged)


def _all(reader: Reader) -> Iterator[Row]:
    """Evaluation by evaluation."""
    for name, block in reader.suite.evaluations.items():
        if isinstance(block, Robustness):
            yield from robustness_rows(reader, name, block)
        elif isinstance(block, Transfer):
            yield from transfer_rows(reader, name, block)
        elif isinstance(block, Reconstruction):
            for model in block.models:
                yield from autoencoder_rows(reader, name, model, block.attacks)
        else:
            for model in [*block.models, names.REAL_DATA]:
                for use in names.metrics_of(block, model):
                    yield from generator_rows(reader, name, block, model, use)
