"""Adversarial examples to look at: clean, adversarial, and their difference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from bench.engine.store import Record
from bench.report import images
from bench.report.records import MissingError, Records
from bench.suite import names
from bench.suite.schema import Robustness, Use

BROKEN, STANDING = 5, 3
"""Pictures of a strip, where there are as many: samples the attack breaks, and samples it does not."""
STRIPS = 60
"""Most strips in a page."""
BYTES = 2_500_000
"""After this much no further strip is begun."""


@dataclass(frozen=True)
class Example:
    """One sample: three pictures as data URIs, its true class, whether it was broken, and how far it was moved."""

    sample: str
    label: int
    broken: bool
    distance: float
    clean: str
    adversarial: str
    difference: str


@dataclass(frozen=True)
class Strip:
    """Examples of one model under one attack at its largest radius.

    Attributes:
        evaluation: Name of the evaluation.
        model: The attacked model.
        attack: Label of the attack.
        threat: The threat part of the row ids.
        factor: What the differences are multiplied by.
        examples: Broken ones first.
        missing: Why there are none; empty where there are.
    """

    evaluation: str
    model: str
    attack: str
    threat: str
    factor: float = 1.0
    examples: tuple[Example, ...] = ()
    missing: str = ""


@dataclass(frozen=True)
class Gallery:
    """The strips of a page, and how many more there would be."""

    strips: tuple[Strip, ...]
    left_out: int

    @property
    def evaluations(self) -> list[tuple[Strip, ...]]:
        """The strips of each evaluation, in the order of the suite."""
        return [tuple(group) for _, group in groupby(self.strips, key=lambda strip: strip.evaluation)]


def gallery(records: Records) -> Gallery:
    """Strips of all models and attacks of the robustness evaluations, as many as the page has room for."""
    strips: list[Strip] = []
    size = left_out = 0
    for name, block, model, use in _cells(records):
        if len(strips) >= STRIPS or size >= BYTES:
            left_out += 1
            continue
        try:
            strip = _strip(records, name, block, model, use)
        except MissingError as error:
            strip = Strip(name, model, use.label, _threat(block), missing=str(error))
        size += sum(len(shown.clean + shown.adversarial + shown.difference) for shown in strip.examples)
        strips.append(strip)
    return Gallery(tuple(strips), left_out)


def _cells(records: Records) -> Iterator[tuple[str, Robustness, str, Use]]:
    for name, block in records.suite.evaluations.items():
        if isinstance(block, Robustness):
            for model in block.models:
                for use in block.attacks:
                    yield name, block, model, use


def _threat(block: Robustness) -> str:
    return names.threat(block.threat.norm, max(block.threat.epsilon), block.threat.target)


def _strip(records: Records, name: str, block: Robustness, model: str, use: Use) -> Strip:
    """Examples from the first chunk of the first trial."""
    judged = records.first_job(records.cells.get((name, model, use.label, None)))
    seen = records.read(judged)
    clean = records.stretch(judged)
    if images.as_images(clean.stretch(0, 1).inputs()) is None:
        raise MissingError(f"samples of shape {clean.x.shape[1:]} are not images")
    chosen = _choose(seen)
    if len(chosen) == 0:
        raise MissingError("the model gets no clean sample of the first chunk right, so there was nothing to attack")
    moved = records.read(records.made_from(judged, "examples")).arrays["examples"][-1][chosen]
    start = clean.inputs()[chosen] if len(clean) == len(seen.arrays["label"]) else np.empty(0, np.float32)
    if start.shape != moved.shape or not _same_data(start, moved, seen.arrays["distance"][-1][chosen], block):
        raise MissingError(f"data '{block.data}' is no longer what was attacked, so clean images cannot be shown")
    before, after = images.as_images(start), images.as_images(moved)
    assert before is not None  # noqa: S101 - the first sample is an image
    assert after is not None  # noqa: S101 - and the examples have its shape
    low, high = images.value_range(records.plan.jobs[judged].work["data"]["range"], before)
    factor = images.amplification(after - before, high - low)
    pictures = [
        images.to_pixels(before, low, high),
        images.to_pixels(after, low, high),
        images.difference_pixels(after - before, factor, high - low),
    ]
    examples = tuple(
        Example(
            sample=seen.meta["ids"][index],
            label=int(seen.arrays["label"][index]),
            broken=bool(seen.arrays["reached"][-1][index]),
            distance=float(seen.arrays["distance"][-1][index]),
            clean=images.uri(pictures[0][place]),
            adversarial=images.uri(pictures[1][place]),
            difference=images.uri(pictures[2][place]),
        )
        for place, index in enumerate(chosen.tolist())
    )
    return Strip(name, model, use.label, _threat(block), factor, examples)


def _choose(seen: Record) -> NDArray[np.intp]:
    """The first samples that are broken at the largest radius and the first that stand, of those right when clean."""
    correct, reached = seen.arrays["correct"], seen.arrays["reached"][-1]
    valid = seen.arrays["valid"][-1]
    broken = np.flatnonzero(correct & reached)
    standing = np.flatnonzero(correct & ~reached & valid)
    total = BROKEN + STANDING
    few = min(len(broken), max(BROKEN, total - len(standing)))
    return np.concatenate([broken[:few], standing[: total - few]])


def _same_data(
    start: NDArray[np.float32], moved: NDArray[np.float32], distance: NDArray[np.float32], block: Robustness
) -> bool:
    """Whether clean samples lie as far from the examples as was measured: a file may have changed since the run."""
    delta = np.abs(moved.astype(np.float64) - start).reshape(len(start), -1)
    measured = delta.max(1) if block.threat.norm == "linf" else np.sqrt(np.square(delta).sum(1))
    return bool(np.allclose(measured, distance, rtol=1e-3, atol=1e-5))
