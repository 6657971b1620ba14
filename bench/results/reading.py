"""What all rows are made from: the records of a run's jobs, and what went wrong with them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from bench.engine.state import NOT_RUN, JobState
from bench.engine.store import Record, read_record
from bench.engine.task import Status
from bench.results.figures import Figures, with_figure
from bench.results.row import Row
from bench.results.verdicts import Judged
from bench.suite import names
from bench.suite.jobs import Cell, Plan
from bench.suite.spec import Suite

Trouble = tuple[Status, str]
"""How the job that is to blame ended, and why."""


class Reader:
    """Reads the records of a run.

    Args:
        suite: What was run.
        plan: Its jobs and cells.
        states: How the jobs ended.

    Attributes:
        figures: What the rows with a figure are computed from, by row id.
        judged: What the audits say, by evaluation and model.
    """

    def __init__(self, suite: Suite, plan: Plan, states: Mapping[str, JobState]) -> None:
        self.suite, self.plan, self.states = suite, plan, states
        self.figures: dict[str, Figures] = {}
        self.judged: dict[tuple[str, str], Judged] = {}
        self.cells = {(cell.evaluation, cell.model, cell.part, cell.surrogate): cell for cell in plan.cells}

    def job_trouble(self, jobs: Sequence[str]) -> Trouble | None:
        """The first of some jobs that did not end well, and why."""
        for job in jobs:
            state = self.states.get(job, NOT_RUN)
            if state.status == "ok":
                continue
            cause = self.states.get(state.cause, state) if state.cause else state
            if state.cause and state.cause.partition("/")[0] in ("train", "data"):
                return "skipped", f"{state.cause} {cause.status}: {cause.message}"
            return cause.status, cause.message
        return None

    def trouble(self, evaluation: str, cells: Sequence[Cell | None]) -> Trouble | None:
        """Why the cells give no figure: the first job that is to blame; None when all jobs ended well."""
        for cell in cells:
            if cell is None:
                return self.unplanned(evaluation)
            if trouble := self.job_trouble([job for trial in cell.trials for job in trial]):
                return trouble
        return None

    def unplanned(self, evaluation: str) -> Trouble:
        """Why an evaluation has no jobs: its data, or that its models are trained on, cannot be had."""
        block = self.suite.evaluations[evaluation]
        for data in [block.data, *(self.suite.models[model].train_data for model in names.evaluated(block))]:
            if data is not None and data in self.plan.unavailable:
                return "skipped", self.plan.unavailable[data]
        return "not-run", NOT_RUN.message

    def read(self, job: str) -> Record:
        """The record of a job that ended well."""
        path = self.states[job].path
        assert path is not None  # noqa: S101 - `trouble` has seen that the job is ok
        return read_record(path)

    def costed(self, row: Row, cells: Sequence[Cell]) -> Row:
        """A row with time and memory of all jobs of its cells and of the crafting or drawing before them."""
        jobs = {job for cell in cells for trial in cell.trials for job in trial}
        before = {
            need
            for job in jobs
            for need in self.plan.jobs[job].needs
            if not need.startswith(("train/", "data/", "build/"))
        }
        states = [self.states.get(job, NOT_RUN) for job in jobs | before]
        peak = max((state.peak for state in states), default=0)
        seconds = round(sum(state.seconds for state in states), 3)
        return replace(row, seconds=seconds, memory=round(peak / 2**20, 1) if peak else math.nan)

    def figured(self, row: Row, ids: Sequence[str], values: Sequence[np.ndarray]) -> Row:
        """A row with the figure of per-sample values, which are kept beside it."""
        self.figures[row.row] = Figures(ids, tuple(values))
        return with_figure(row, values, self.suite.intervals)
