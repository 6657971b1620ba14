"""A checked suite: every name resolved, every option with its value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.data.catalogue import DataOptions
from bench.models.packaged import PACKAGED, Packaged
from bench.suite.schema import AnyEvaluation, Expectation, Gate, Model, Quote, Use


@dataclass(frozen=True)
class DataSpec:
    """A data set of a suite."""

    name: str
    source: str
    options: DataOptions


@dataclass(frozen=True)
class ModelSpec:
    """A model of a suite. `recipe` and `train_data` are set when it is trained here."""

    name: str
    block: Model
    recipe: Use | None = None
    train_data: str | None = None

    @property
    def packaged(self) -> Packaged | None:
        """The package that brings its weights; None where they come from elsewhere."""
        block = self.block
        return PACKAGED.get(block.arch.name) if block.arch is not None and block.weights is None else None

    @property
    def generates(self) -> bool:
        """Whether samples can be drawn from it."""
        return self.block.kind == "generator" or (self.block.arch is not None and self.block.arch.name == "vae")


@dataclass(frozen=True)
class Suite:
    """A checked suite file.

    Attributes:
        file: Where it was read from.
        name: Its name.
        description: What it is for.
        seed: The seed every random choice derives from.
        data: Data sets by name.
        models: Models by name.
        evaluations: Evaluations by name.
        expect: Figures a run must reach.
        quoted: Figures from papers.
        gate: What a gate compares.
        intervals: How the intervals of shares are made: ``wilson`` or ``clopper-pearson``.
        warnings: What is allowed but looks wrong, one sentence each.
        text: The file's content, for provenance.
        overrides: The assignments of `--set`.
    """

    file: str
    name: str
    description: str
    seed: int
    data: Mapping[str, DataSpec]
    models: Mapping[str, ModelSpec]
    evaluations: Mapping[str, AnyEvaluation]
    expect: tuple[Expectation, ...]
    quoted: tuple[Quote, ...]
    gate: Gate = field(default_factory=Gate)
    intervals: str = "wilson"
    warnings: tuple[str, ...] = ()
    text: str = ""
    overrides: tuple[str, ...] = field(default=())
