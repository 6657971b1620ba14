"""The names of rows: evaluation/model/attack/threat/metric, known before anything has run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bench.metrics.catalogue import METRICS
from bench.suite.jobs import Cell
from bench.suite.schema import NAME, AnyEvaluation, Generation, Reconstruction, Robustness, Transfer, Use
from bench.suite.spec import Suite

CLEAN = "clean"
WORST_CASE = "worst-case"
RESCUE = "rescue"
REAL_DATA = "real-data"
RESERVED = {CLEAN, WORST_CASE, RESCUE}

RECONSTRUCTION_METRICS = {
    "input_distortion": "neither",
    "target_distance": "higher",
    "success_rate": "lower",
}
"""Rows of each trade-off of a reconstruction evaluation, with the better direction."""


def is_name(text: object) -> bool:
    """Whether a text can be a part of a row id."""
    return isinstance(text, str) and re.fullmatch(NAME, text) is not None and text != REAL_DATA


def number(value: float) -> str:
    """A radius or weight in a row id, to three digits.

    >>> number(8 / 255), number(0.3)
    ('0.0314', '0.3')
    """
    return f"{value:.3g}"


def threat(norm: str, epsilon: float, target: str = "none") -> str:
    """The threat part of a row id.

    >>> threat("linf", 8 / 255), threat("l2", 2.0, "random")
    ('linf-0.0314', 'l2-2-random')
    """
    return f"{norm}-{number(epsilon)}" + ("" if target == "none" else f"-{target}")


def from_surrogate(attack: str, surrogate: str) -> str:
    """The attack part of a transfer row: ``pgd-40@mlp`` is pgd-40 crafted on mlp."""
    return f"{attack}@{surrogate}"


def row_id(*parts: str) -> str:
    """Join the parts of a row id."""
    return "/".join(parts)


def without_model(row: str) -> tuple[str, str]:
    """The model of a row, and what is left of its id: rows that agree in that differ in the model alone.

    >>> without_model("grid/gan/grid25/modes")
    ('gan', 'grid/*/grid25/modes')
    """
    evaluation, model, *rest = [*row.split("/"), "", ""][: max(2, row.count("/") + 1)]
    return model, row_id(evaluation, "*", *rest)


def metric_rows(use: Use) -> dict[str, str]:
    """The rows a metric gives, with the better direction.

    A user's metric gives one row of its own label; of ours, one that gives several rows begins them with its label
    where the suite gives it one (``as:``).
    """
    if use.imported:
        return {use.label: "neither"}
    rows = _own_rows(use)
    if len(rows) == 1:
        return {use.label: next(iter(rows.values()))}
    return {row if use.label == use.name else f"{use.label}-{row}": direction for row, direction in rows.items()}


def metric_keys(use: Use) -> list[str]:
    """What a metric's values are stored under, in the order of `metric_rows`."""
    return [""] if use.imported else list(_own_rows(use))


def _own_rows(use: Use) -> dict[str, str]:
    """The rows of a metric of ours under their own names; some have a number, up to what an option says."""
    traits = METRICS[use.name].traits
    rows: dict[str, str] = dict(traits["rows"])
    if "numbered" in traits:
        row, option = traits["numbered"]
        rows |= {f"{row}_{number}": rows[row] for number in range(2, use.options[option] + 1)}
    return rows


def needs_looks(use: Use) -> bool:
    """Whether a metric is of what a model drew while it was trained, which real data have not."""
    return not use.imported and bool(METRICS[use.name].traits.get("looks"))


def metrics_of(block: Generation, model: str) -> list[Use]:
    """The metrics that a model of an evaluation has rows of, or real data."""
    return [use for use in block.metrics if model != REAL_DATA or not needs_looks(use)]


def network_option(use: Use) -> str:
    """The option of a metric of ours that names a network of the suite; empty where it has none."""
    return "" if use.imported else str(METRICS[use.name].traits.get("network", ""))


def evaluated(block: AnyEvaluation) -> list[str]:
    """The models that an evaluation names: those it judges, surrogates, and networks of its metrics."""
    if isinstance(block, Transfer):
        return list(dict.fromkeys([*block.surrogates, *block.victims]))
    return list(dict.fromkeys([*block.models, *(networks(block) if isinstance(block, Generation) else ())]))


def networks(block: Generation) -> list[str]:
    """The models that the metrics of an evaluation name."""
    named = (use.options.get(network_option(use)) for use in block.metrics)
    return [str(name) for name in named if name is not None]


def attack_metrics(block: Robustness | Transfer, part: str) -> list[Use]:
    """The metrics of an attack's rows; over several attacks (``worst-case``) a user's own metric is not defined."""
    return [use for use in block.metrics if not (part in (WORST_CASE, RESCUE) and use.imported)]


def cell_rows(suite: Suite, evaluation: str, model: str, part: str, surrogate: str | None) -> list[str]:
    """The ids of the rows one cell gives: a model under one attack, or one metric of a generator's samples.

    With `part` ``worst-case`` these are the rows over all attacks, with ``clean`` the row before any.
    """
    block = suite.evaluations[evaluation]
    if isinstance(block, Generation):
        use = next(use for use in block.metrics if use.label == part)
        return [row_id(evaluation, model, block.data, row) for row in metric_rows(use)]
    if isinstance(block, Reconstruction):
        if part == CLEAN:
            return [row_id(evaluation, model, CLEAN, "none", "reconstruction_error")]
        use = next(use for use in block.attacks if use.label == part)
        weights = trade_offs(use)
        threats = [f"trade-off-{number(weight)}" for weight in weights]
        rows = [
            row_id(evaluation, model, part, place, metric) for place in threats for metric in RECONSTRUCTION_METRICS
        ]
        return [*rows, row_id(evaluation, model, part, "curve", "auddc")] if len(weights) > 1 else rows
    if part == CLEAN:
        return [row_id(evaluation, model, CLEAN, "none", "accuracy")]
    attack = part if surrogate is None else from_surrogate(part, surrogate)
    threats = [threat(block.threat.norm, epsilon, block.threat.target) for epsilon in block.threat.epsilon]
    metrics = [row for use in attack_metrics(block, part) for row in metric_rows(use)]
    return [row_id(evaluation, model, attack, place, metric) for place in threats for metric in metrics]


class RowsOf(NamedTuple):
    """Rows that need a cell.

    Attributes:
        part: Label of the attack or metric, ``worst-case`` or ``clean``.
        rows: Their ids.
        trials: What they need of the cell: for each trial of the model, jobs. A user's metric comes after the outcomes.
    """

    part: str
    rows: list[str]
    trials: Sequence[tuple[str, ...]]


def all_cell_rows(suite: Suite, cell: Cell) -> Iterator[RowsOf]:
    """The rows that need a cell: its own, and those over all attacks or before any."""
    kind = suite.evaluations[cell.evaluation].kind
    more = {"robustness": [CLEAN, WORST_CASE], "reconstruction": [CLEAN]}
    for part in [cell.part, *more.get(kind, [])]:
        rows = cell_rows(suite, cell.evaluation, cell.model, part, cell.surrogate)
        scored = {label: [row for row in rows if row.rpartition("/")[2] == label] for label in cell.scores}
        for label, of_metric in scored.items():
            both = [before + after for before, after in zip(cell.trials, cell.scores[label], strict=True)]
            yield RowsOf(part, of_metric, both)
        own = set(rows).difference(*scored.values())
        yield RowsOf(part, [row for row in rows if row in own], cell.trials)


def all_rows(suite: Suite) -> Iterator[str]:
    """The ids of all rows a run of the suite gives, in the leaderboard's order."""
    for name, block in suite.evaluations.items():
        if isinstance(block, Robustness):
            for model in block.models:
                for part in [CLEAN, *attack_parts(block), WORST_CASE]:
                    yield from cell_rows(suite, name, model, part, None)
        elif isinstance(block, Transfer):
            for victim in block.victims:
                for use in block.attacks:
                    for surrogate in block.surrogates:
                        yield from cell_rows(suite, name, victim, use.label, surrogate)
        elif isinstance(block, Reconstruction):
            for model in block.models:
                for part in [CLEAN, *(use.label for use in block.attacks)]:
                    yield from cell_rows(suite, name, model, part, None)
        else:
            for model in [*block.models, REAL_DATA]:
                for use in metrics_of(block, model):
                    yield from cell_rows(suite, name, model, use.label, None)


def attack_parts(block: Robustness) -> list[str]:
    """The parts of row ids that stand for attacks: a full audit adds what it tries on masked models."""
    return [*(use.label for use in block.attacks), *([RESCUE] if block.audit == "full" else [])]


def trade_offs(use: Use) -> list[float]:
    """The distortion weights of an attack on autoencoders; a user's attack without any counts as one."""
    values = use.options.get("trade_off", [1.0])
    return [float(value) for value in values] if isinstance(values, list) else [float(values)]
