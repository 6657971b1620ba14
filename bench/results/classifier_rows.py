"""Rows of attacks on classifiers, with their verdicts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from bench.engine.state import NOT_RUN
from bench.results.classified import Classified, common_samples, read_classified, values_of, worst_case
from bench.results.figures import invalid_note
from bench.results.reading import Reader, Trouble
from bench.results.row import TRUSTED, Row
from bench.results.verdicts import Judged, judge, known_bound, row_verdict
from bench.suite import names
from bench.suite.jobs import Cell
from bench.suite.schema import Robustness, Transfer

_PROBABILITIES = (
    "the model returns probabilities where logits are expected, so that the attacks may be weaker than they could be"
)


def robustness_rows(reader: Reader, name: str, block: Robustness) -> Iterator[Row]:
    """The rows of a robustness evaluation: clean, each attack and the worst case of each model."""
    read = _Reading(reader, name, block)
    parts = names.attack_parts(block)
    cells = {model: {part: reader.cells.get((name, model, part, None)) for part in parts} for model in block.models}
    outcomes: dict[str, dict[str, list[Classified]]] = {}
    troubles: dict[str, dict[str, Trouble | None]] = {}
    for model, of_model in cells.items():
        found = {part: read.outcomes(cell) for part, cell in of_model.items()}
        troubles[model] = {part: trouble for part, (_, trouble) in found.items()}
        outcomes[model] = {part: each for part, (each, trouble) in found.items() if each is not None and not trouble}
    clean = {model: next(iter(each.values())) for model, each in outcomes.items() if each}
    common = common_samples(list(clean.values())) if len(clean) == len(block.models) else None
    for model in block.models:
        # a rescue that failed takes nothing away from what the attacks found
        whole = next((trouble for part, trouble in troubles[model].items() if trouble and part != names.RESCUE), None)
        judged, unaudited = (None, "") if whole else read.judged(model, clean[model])
        if judged is None:
            for part, each in outcomes[model].items():
                troubles[model][part] = read.blind(each)
            whole = whole or next(filter(None, troubles[model].values()), None)
        everything = None if whole else worst_case(list(outcomes[model].values()))
        rows = [read.clean(model, clean.get(model), whole)]
        for part in parts:
            own, trouble = outcomes[model].get(part), troubles[model][part]
            if part == names.RESCUE and own is not None and everything is not None:
                own = outcomes[model][part] = standing(own, everything)
            rows += read.attacked(model, part, None, own, [cells[model][part]], trouble, common)
        rows += read.attacked(model, names.WORST_CASE, None, everything, list(cells[model].values()), whole, common)
        of_parts = {**outcomes[model], names.WORST_CASE: everything or []}
        yield from read.with_verdicts(rows, judged, unaudited, of_parts)


def standing(rescue: Sequence[Classified], everything: Sequence[Classified]) -> list[Classified]:
    """What is left of a model after its rescue, which attacks only what stood before; at the rescue's cost."""
    return [
        replace(whole, forwards=own.forwards, backwards=own.backwards, tried=own.tried)
        for own, whole in zip(rescue, everything, strict=True)
    ]


def transfer_rows(reader: Reader, name: str, block: Transfer) -> Iterator[Row]:
    """The rows of a transfer evaluation: each victim under each attack from each surrogate."""
    read = _Reading(reader, name, block)
    axes = [
        (victim, use.label, surrogate)
        for victim in block.victims
        for use in block.attacks
        for surrogate in block.surrogates
    ]
    found = {
        (victim, attack, surrogate): read.outcomes(reader.cells.get((name, victim, attack, surrogate)))
        for victim, attack, surrogate in axes
    }
    found = {axis: (each, trouble or (read.blind(each) if each else None)) for axis, (each, trouble) in found.items()}
    everything = [each for each, trouble in found.values() if each is not None and not trouble]
    common = common_samples(everything) if len(everything) == len(axes) else None
    for victim, attack, surrogate in axes:
        outcomes, trouble = found[victim, attack, surrogate]
        cell = reader.cells.get((name, victim, attack, surrogate))
        yield from read.attacked(victim, attack, surrogate, outcomes, [cell], trouble, common)


class _Reading:
    """Rows of one evaluation."""

    def __init__(self, reader: Reader, name: str, block: Robustness | Transfer) -> None:
        self.reader, self.name, self.block = reader, name, block

    def outcomes(self, cell: Cell | None) -> tuple[list[Classified] | None, Trouble | None]:
        """Outcomes of each trial of a cell, or why there are none."""
        trouble = self.reader.trouble(self.name, [cell])
        if trouble or cell is None:
            return None, trouble
        read = self.reader.read
        scored = {key: trials for key, trials in cell.scores.items() if not self.unscored([cell], key)}
        outcomes = [
            read_classified(
                [read(job) for job in jobs],
                {key: [read(job) for job in trials[trial]] for key, trials in scored.items()},
            )
            for trial, jobs in enumerate(cell.trials)
        ]
        return outcomes, None

    def unscored(self, cells: Sequence[Cell | None], label: str) -> Trouble | None:
        """Why a user's metric has no values for some cells; None where it has."""
        jobs = [job for cell in cells if cell for trial in cell.scores.get(label, ()) for job in trial]
        return self.reader.job_trouble(jobs)

    @staticmethod
    def blind(outcomes: Sequence[Classified]) -> Trouble | None:
        """What to say of a model without a gradient where no audit says that the figure is worth nothing."""
        said = next((trial.no_gradient for trial in outcomes if trial.no_gradient), "")
        return ("failed", said) if said else None

    def judged(self, model: str, outcomes: Sequence[Classified]) -> tuple[Judged | None, str]:
        """What the audit says of a model, or why it says nothing."""
        audit = self.reader.plan.audits.get((self.name, model))
        if audit is None:
            return None, ""
        states = self.reader.states
        absent = [job for job in audit.jobs if states.get(job, NOT_RUN).status != "ok"]
        found = judge(audit, self.reader.read, outcomes, absent)
        if absent and found.verdict == TRUSTED:
            trouble = self.reader.job_trouble(absent)
            return None, f"the audit could not finish: {trouble[1] if trouble else NOT_RUN.message}"
        self.reader.judged[self.name, model] = found
        return found, ""

    def with_verdicts(
        self, rows: Sequence[Row], judged: Judged | None, unaudited: str, outcomes: Mapping[str, list[Classified]]
    ) -> Iterator[Row]:
        """The rows of a model with what the audit says of them; a clean row is of no attack."""
        if judged is None:
            yield from (replace(row, reason=unaudited) for row in rows)
            return
        order = sorted(self.block.threat.epsilon)
        robust = [use.label for use in self.block.metrics if use.name == "robust_accuracy"]
        parts = [part for part in outcomes if part not in (names.WORST_CASE, names.RESCUE)]
        tried = outcomes.get(names.RESCUE, [])
        rescued = bool(tried) and all(trial.tried for trial in tried)
        if tried:  # what checks had broken was verified once more, and is counted where it held
            judged = replace(judged, found=tuple(np.zeros_like(found) for found in judged.found))
        for row in rows:
            verdict, reason = "", ""
            if row.attack != names.CLEAN and row.status == "ok":
                whole = row.attack in (names.RESCUE, names.WORST_CASE)
                verdict, reason = row_verdict(
                    judged, row.epsilon, order.index(row.epsilon), outcomes[row.attack], outcomes[names.WORST_CASE],
                    parts=parts if whole else [row.attack], rescued=rescued and whole, carried=bool(tried) and whole,
                )  # fmt: skip
            bound = math.nan
            if verdict and row.metric in robust:
                bound = known_bound(judged, order.index(row.epsilon), outcomes[row.attack], outcomes[names.WORST_CASE])
            said = [f"{kind}: {text}" for kind, text in (("row", reason), ("model", judged.reason)) if text]
            yield replace(row, row_verdict=verdict, model_verdict=judged.verdict, at_most=bound, reason="; ".join(said))

    def clean(self, model: str, outcomes: list[Classified] | None, trouble: Trouble | None) -> Row:
        """The row before any attack."""
        row = Row(
            names.row_id(self.name, model, names.CLEAN, "none", "accuracy"),
            self.name, model, names.CLEAN, "", "none", "", math.nan, "accuracy", direction="higher",
        )  # fmt: skip
        if outcomes is None:
            status, message = trouble or ("not-run", NOT_RUN.message)
            return replace(row, status=status, message=message)
        return self.reader.figured(row, outcomes[0].ids, [trial.correct.astype(np.float64) for trial in outcomes])

    def attacked(
        self,
        model: str,
        part: str,
        surrogate: str | None,
        outcomes: list[Classified] | None,
        cells: Sequence[Cell | None],
        trouble: Trouble | None,
        common: np.ndarray | None,
    ) -> Iterator[Row]:
        """Rows of one model under one attack: every epsilon, every metric."""
        block, label = self.block, part if surrogate is None else names.from_surrogate(part, surrogate)
        order = sorted(block.threat.epsilon)
        for epsilon in block.threat.epsilon:
            place = names.threat(block.threat.norm, epsilon, block.threat.target)
            for use in names.attack_metrics(block, part):
                for metric, direction in names.metric_rows(use).items():
                    row = Row(
                        names.row_id(self.name, model, label, place, metric),
                        self.name, model, part, surrogate or "", place, block.threat.norm, epsilon, metric,
                        direction=direction,
                    )  # fmt: skip
                    blocked = trouble or self.unscored(cells, use.label)
                    if outcomes is None or blocked:
                        status, message = blocked or ("not-run", NOT_RUN.message)
                        if part == names.WORST_CASE:
                            message = f"the worst case needs every attack: {message}"
                        yield replace(row, status=status, message=message)
                        continue
                    level = order.index(epsilon)
                    if use.name == "success_rate" and common is None:
                        message = "needs the outcomes of every model of the evaluation"
                        yield replace(row, status="skipped", message=message)
                        continue
                    figures = [
                        values_of(use, trial, level, None if common is None else common[index % len(common)])
                        for index, trial in enumerate(outcomes)
                    ]
                    row = self.reader.costed(row, [cell for cell in cells if cell is not None])
                    yield replace(
                        self.reader.figured(row, outcomes[0].ids, figures),
                        forwards=float(np.mean([trial.forwards[level].mean() for trial in outcomes])),
                        backwards=float(np.mean([trial.backwards[level].mean() for trial in outcomes])),
                        message=_message(outcomes, level),
                    )


def _message(outcomes: Sequence[Classified], level: int) -> str:
    """What a reader must know of the outcomes of a row."""
    said = [invalid_note(sum(int((~trial.valid[level]).sum()) for trial in outcomes))]
    said += [next((f"nothing was found: {trial.no_gradient}" for trial in outcomes if trial.no_gradient), "")]
    said += [_tried(trial.tried) for trial in outcomes[:1] if trial.tried is not None]
    said += [_PROBABILITIES if any(trial.probabilities for trial in outcomes) else ""]
    return "; ".join(filter(None, said))


def _tried(words: Sequence[str]) -> str:
    """What a rescue did."""
    return (
        f"tried on what stood: {'; '.join(words)}" if words else "nothing is masked: only what checks broke is counted"
    )
