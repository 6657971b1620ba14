"""Rows of the leaderboard: views, computed from the outcomes of jobs and never stored as truth."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from bench.engine.state import NOT_RUN, JobState
from bench.engine.store import Record, read_record
from bench.engine.task import Status
from bench.metrics.catalogue import METRICS
from bench.metrics.measured import NOTE
from bench.results import statistics
from bench.results.censored import censored
from bench.results.classified import Classified, common_samples, read_classified, values_of, worst_case
from bench.results.quoted import with_quotes
from bench.results.row import Row
from bench.suite import names
from bench.suite.jobs import Cell, Plan
from bench.suite.schema import Generation, Reconstruction, Robustness, Transfer, Use
from bench.suite.spec import Suite


def make_rows(suite: Suite, plan: Plan, states: Mapping[str, JobState]) -> list[Row]:
    """All rows of a suite, in its order, each with a figure or with the reason why there is none."""
    rows = list(_Rows(suite, plan, states).all())
    return [replace(row, seed=suite.seed) for row in with_quotes(rows, suite.quoted)]


class _Rows:
    """Computes rows cell by cell, reading each record once."""

    def __init__(self, suite: Suite, plan: Plan, states: Mapping[str, JobState]) -> None:
        self.suite, self.plan, self.states = suite, plan, states
        self.cells = {(cell.evaluation, cell.model, cell.part, cell.surrogate): cell for cell in plan.cells}

    def all(self) -> Iterator[Row]:
        for name, block in self.suite.evaluations.items():
            if isinstance(block, Robustness):
                yield from self.robustness(name, block)
            elif isinstance(block, Transfer):
                yield from self.transfer(name, block)
            elif isinstance(block, Reconstruction):
                for model in block.models:
                    yield self.rebuilt(name, model, block.attacks)
                    for use in block.attacks:
                        yield from self.reconstruction(name, model, use)
            else:
                for model in [*block.models, names.REAL_DATA]:
                    for use in names.metrics_of(block, model):
                        yield from self.generation(name, block, model, use)

    # what went wrong

    def trouble(self, evaluation: str, cells: Sequence[Cell | None]) -> tuple[Status, str] | None:
        """Why the cells give no figure: the first job that is to blame; None when all jobs ended well."""
        for cell in cells:
            if cell is None:
                return self.unplanned(evaluation)
            jobs = [job for trial in cell.trials for job in trial]
            jobs += [job for trials in cell.scores.values() for trial in trials for job in trial]
            for job in jobs:
                state = self.states.get(job, NOT_RUN)
                if state.status == "ok":
                    continue
                cause = self.states.get(state.cause, state) if state.cause else state
                if state.cause and state.cause.partition("/")[0] in ("train", "data"):
                    return "skipped", f"{state.cause} {cause.status}: {cause.message}"
                return cause.status, cause.message
        return None

    def unplanned(self, evaluation: str) -> tuple[Status, str]:
        """Why an evaluation has no jobs: its data, or that its models are trained on, cannot be had."""
        block = self.suite.evaluations[evaluation]
        listed = [*block.surrogates, *block.victims] if isinstance(block, Transfer) else list(block.models)
        if isinstance(block, Generation):
            listed += names.networks(block)
        for data in [block.data, *(self.suite.models[model].train_data for model in listed)]:
            if data is not None and data in self.plan.unavailable:
                return "skipped", self.plan.unavailable[data]
        return "not-run", NOT_RUN.message

    def read(self, job: str) -> Record:
        path = self.states[job].path
        assert path is not None  # noqa: S101 - `trouble` has seen that the job is ok
        return read_record(path)

    def seconds(self, cells: Sequence[Cell]) -> float:
        """Time of all jobs of the cells and of the crafting or drawing before them."""
        jobs = {job for cell in cells for trial in cell.trials for job in trial}
        before = {
            need for job in jobs for need in self.plan.jobs[job].needs if not need.startswith(("train/", "data/"))
        }
        return round(sum(self.states[job].seconds for job in jobs | before), 3)

    # classifiers

    def robustness(self, name: str, block: Robustness) -> Iterator[Row]:
        found: dict[str, list[list[Classified]]] = {}
        cells = {
            model: [self.cells.get((name, model, use.label, None)) for use in block.attacks] for model in block.models
        }
        for model, of_model in cells.items():
            found[model] = [self.classified(cell) for cell in of_model if cell and not self.trouble(name, [cell])]
        clean = {model: attacks[0] for model, attacks in found.items() if attacks}
        common = common_samples(list(clean.values())) if len(clean) == len(block.models) else None
        for model in block.models:
            whole = self.trouble(name, cells[model])
            ok = [cell for cell in cells[model] if cell is not None]
            yield self.clean(name, model, clean.get(model), whole)
            for use, cell in zip(block.attacks, cells[model], strict=True):
                trouble = self.trouble(name, [cell])
                outcomes = None if trouble or cell is None else self.classified(cell)
                yield from self.attacked(name, block, model, use.label, None, outcomes, [cell], trouble, common)
            outcomes = None if whole else worst_case(found[model])
            yield from self.attacked(name, block, model, names.WORST_CASE, None, outcomes, ok, whole, common)

    def transfer(self, name: str, block: Transfer) -> Iterator[Row]:
        everything: dict[tuple[str, str, str], list[Classified]] = {}
        for victim in block.victims:
            for use in block.attacks:
                for surrogate in block.surrogates:
                    cell = self.cells.get((name, victim, use.label, surrogate))
                    if cell is not None and not self.trouble(name, [cell]):
                        everything[victim, use.label, surrogate] = self.classified(cell)
        complete = len(everything) == len(block.victims) * len(block.attacks) * len(block.surrogates)
        common = common_samples(list(everything.values())) if complete else None
        for victim in block.victims:
            for use in block.attacks:
                for surrogate in block.surrogates:
                    cell = self.cells.get((name, victim, use.label, surrogate))
                    outcomes = everything.get((victim, use.label, surrogate))
                    trouble = self.trouble(name, [cell])
                    yield from self.attacked(
                        name, block, victim, use.label, surrogate, outcomes, [cell], trouble, common
                    )

    def classified(self, cell: Cell) -> list[Classified]:
        """Outcomes of each trial of a cell."""
        return [
            read_classified(
                [self.read(job) for job in jobs],
                {key: [self.read(job) for job in trials[trial]] for key, trials in cell.scores.items()},
            )
            for trial, jobs in enumerate(cell.trials)
        ]

    def clean(
        self,
        name: str,
        model: str,
        outcomes: list[Classified] | None,
        trouble: tuple[Status, str] | None,
    ) -> Row:
        row = Row(
            names.row_id(name, model, names.CLEAN, "none", "accuracy"),
            name, model, names.CLEAN, "", "none", "", math.nan, "accuracy", direction="higher",
        )  # fmt: skip
        if outcomes is None:
            status, message = trouble or ("not-run", NOT_RUN.message)
            return replace(row, status=status, message=message)
        return _with_figure(row, [trial.correct.astype(np.float64) for trial in outcomes])

    def attacked(
        self,
        name: str,
        block: Robustness | Transfer,
        model: str,
        part: str,
        surrogate: str | None,
        outcomes: list[Classified] | None,
        cells: Sequence[Cell | None],
        trouble: tuple[Status, str] | None,
        common: np.ndarray | None,
    ) -> Iterator[Row]:
        """Rows of one model under one attack: every epsilon, every metric."""
        label = part if surrogate is None else names.from_surrogate(part, surrogate)
        order = sorted(block.threat.epsilon)
        for epsilon in block.threat.epsilon:
            place = names.threat(block.threat.norm, epsilon, block.threat.target)
            for use in names.attack_metrics(block, part):
                for metric, direction in names.metric_rows(use).items():
                    row = Row(
                        names.row_id(name, model, label, place, metric),
                        name, model, part, surrogate or "", place, block.threat.norm, epsilon, metric,
                        direction=direction,
                    )  # fmt: skip
                    if outcomes is None or trouble:
                        status, message = trouble or ("not-run", NOT_RUN.message)
                        if part == names.WORST_CASE:
                            message = f"the worst case needs every attack: {message}"
                        yield replace(row, status=status, message=message)
                        continue
                    level = order.index(epsilon)
                    if use.name == "success_rate" and common is None:
                        yield replace(
                            row, status="skipped", message="needs the outcomes of every model of the evaluation"
                        )
                        continue
                    figures = [
                        values_of(use, trial, level, None if common is None else common[index % len(common)])
                        for index, trial in enumerate(outcomes)
                    ]
                    yield replace(
                        _with_figure(row, figures),
                        forwards=float(np.mean([trial.forwards[level].mean() for trial in outcomes])),
                        backwards=float(np.mean([trial.backwards[level].mean() for trial in outcomes])),
                        seconds=self.seconds([cell for cell in cells if cell is not None]),
                        message=_invalid(sum(int((~trial.valid[level]).sum()) for trial in outcomes)),
                    )

    # autoencoders

    def rebuilt(self, name: str, model: str, uses: Sequence[Use]) -> Row:
        """How well clean images are rebuilt, without which the other figures of an autoencoder mean little."""
        row = Row(
            names.row_id(name, model, names.CLEAN, "none", "reconstruction_error"),
            name, model, names.CLEAN, "", "none", "", math.nan, "reconstruction_error", direction="lower",
        )  # fmt: skip
        cells = [self.cells.get((name, model, use.label, None)) for use in uses]
        good = next((cell for cell in cells if cell and not self.trouble(name, [cell])), None)
        if good is None:
            status, message = self.trouble(name, cells) or ("not-run", NOT_RUN.message)
            return replace(row, status=status, message=message)
        records = [self.read(job) for trial in good.trials for job in trial]
        return _with_figure(row, [_reconstruction_values(record, row.metric, 0) for record in records])

    def reconstruction(self, name: str, model: str, use: Use) -> Iterator[Row]:
        cell = self.cells.get((name, model, use.label, None))
        trouble = self.trouble(name, [cell])
        records = [] if trouble or cell is None else [self.read(job) for trial in cell.trials for job in trial]
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
            figures = [_reconstruction_values(record, row.metric, level) for record in records]
            invalid = sum(int(record.meta["invalid"]) for record in records)
            yield replace(_with_figure(row, figures), seconds=self.seconds([cell]), message=_invalid(invalid))

    # generators

    def generation(self, name: str, block: Generation, model: str, use: Use) -> Iterator[Row]:
        cell = self.cells.get((name, model, use.label, None))
        trouble = self.trouble(name, [cell])
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
            records = [self.read(job) for trial in cell.trials for job in trial]
            meta = records[0].meta
            n, note = int(meta["reference_n" if key in of_data else "n"]), _common_note(records)
            row = replace(row, n=n, trials=len(records), seconds=self.seconds([cell]), message=note)
            row = replace(row, basis=str(meta.get("basis", "")))
            if never := censored(records, key):
                yield replace(row, message=f"{never}; {note}")
                continue
            values = [float(record.meta["values"][key]) for record in records]
            least = -math.inf if use.imported or traits.get("signed") else 0.0
            most = 1.0 if key in shares or traits.get("bounded") else math.inf
            interval = statistics.mean(values, least=least, most=most)
            if len(values) == 1 and key in shares:
                interval = statistics.wilson(values[0] * n, n)
            yield replace(row, value=interval.value, low=interval.low, high=interval.high)


def _common_note(records: Sequence[Record]) -> str:
    """What trials have to say alike: a deviation within one of them is not said of the mean over all."""
    first, *others = (str(record.meta.get("note", "")).split(NOTE) for record in records)
    return NOTE.join(part for part in first if all(part in other for other in others))


def _with_figure(row: Row, figures: Sequence[np.ndarray]) -> Row:
    """A row with the figure of per-sample values: over samples for one trial, over trials for several."""
    each = [statistics.of_samples(values) for values in figures]
    interval, n = each[0]
    if len(each) > 1:
        share = all(np.isin(values[~np.isnan(values)], (0.0, 1.0)).all() for values in figures)
        least, most = (0.0, 1.0) if share else (-math.inf, math.inf)
        interval = statistics.mean([part.value for part, _ in each], least=least, most=most)
    return replace(row, value=interval.value, low=interval.low, high=interval.high, n=n, trials=len(each))


def _invalid(count: int) -> str:
    """What to say of examples that verification refused."""
    return f"{count} examples were outside the ball or the box or not finite, and count as failures" if count else ""


def _reconstruction_values(record: Record, metric: str, level: int) -> np.ndarray:
    """One value a pair."""
    from bench.metrics.auddc import auddc

    if metric == "auddc":
        x, y = record.arrays["input_distortion"], record.arrays["target_distance"]
        return np.array([auddc(x[:, pair], y[:, pair]) for pair in range(x.shape[1])])
    if metric == "reconstruction_error":
        return np.asarray(record.arrays["reconstruction_error"], np.float64)
    if metric == "success_rate":
        return np.asarray(record.arrays["reached"][level] & record.arrays["valid"][level], np.float64)
    return np.asarray(record.arrays[metric][level], np.float64)
