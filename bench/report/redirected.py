"""Attacked autoencoders to look at: origin, target, moved images and what they are rebuilt as."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.report import images
from bench.report.records import MissingError, Records
from bench.suite import names
from bench.suite.schema import Reconstruction

PAIRS = 4
"""Pairs shown of each model and attack."""
TRADE_OFFS = 4
"""Trade-offs shown at the most, evenly spread."""


@dataclass(frozen=True)
class Moved:
    """A moved image, its reconstruction, and whether that is nearer to the target's than to the origin's."""

    image: str
    rebuilt: str
    reached: bool
    input_distortion: float
    target_distance: float


@dataclass(frozen=True)
class Pair:
    """An origin and a target with their reconstructions, and the moved image of each trade-off shown."""

    sample: str
    origin: str
    rebuilt_origin: str
    target: str
    rebuilt_target: str
    moved: tuple[Moved, ...]


@dataclass(frozen=True)
class Sheet:
    """Pairs of one autoencoder under one attack.

    Attributes:
        evaluation: Name of the evaluation.
        model: The autoencoder.
        attack: Label of the attack.
        trade_offs: Names of the trade-offs shown.
        pairs: The first pairs.
        missing: Why there are none; empty where there are.
    """

    evaluation: str
    model: str
    attack: str
    trade_offs: tuple[str, ...] = ()
    pairs: tuple[Pair, ...] = ()
    missing: str = ""


def sheets(records: Records) -> list[Sheet]:
    """A sheet for each model and attack of the reconstruction evaluations."""
    found = []
    for name, block in records.suite.evaluations.items():
        if not isinstance(block, Reconstruction):
            continue
        for model in block.models:
            for use in block.attacks:
                try:
                    found.append(_sheet(records, name, model, use.label))
                except MissingError as error:
                    found.append(Sheet(name, model, use.label, missing=str(error)))
    return found


def _sheet(records: Records, name: str, model: str, attack: str) -> Sheet:
    """The first pairs of the first trial."""
    job = records.first_job(records.cells.get((name, model, attack, None)))
    seen = records.read(job)
    arrays = dict(seen.arrays)
    arrays["moved"] = records.read(records.made_from(job, "examples")).arrays["examples"]
    origins = images.as_images(arrays["origins"])
    if origins is None:
        raise MissingError(f"samples of shape {arrays['origins'].shape[1:]} are not images")
    low, high = images.value_range(records.plan.jobs[job].work["data"]["range"], origins)

    def uris(values: NDArray[np.floating]) -> list[str]:
        shown = images.as_images(values[:PAIRS])
        assert shown is not None  # noqa: S101 - all arrays have the shape of the origins
        return [images.uri(pixels) for pixels in images.to_pixels(shown, low, high)]

    weights = seen.meta["trade_off"]
    levels = np.unique(np.linspace(0, len(weights) - 1, min(TRADE_OFFS, len(weights))).round().astype(int)).tolist()
    moved = {level: uris(arrays["moved"][level]) for level in levels}
    rebuilt = {level: uris(arrays["rebuilt"][level]) for level in levels}
    keys = ("origins", "rebuilt_origins", "targets", "rebuilt_targets")
    four = zip(*(uris(arrays[key]) for key in keys), strict=True)
    pairs = []
    for index, (origin, rebuilt_origin, target, rebuilt_target) in enumerate(four):
        each = tuple(
            Moved(
                moved[level][index],
                rebuilt[level][index],
                bool(arrays["reached"][level, index] & arrays["valid"][level, index]),
                float(arrays["input_distortion"][level, index]),
                float(arrays["target_distance"][level, index]),
            )
            for level in levels
        )
        pairs.append(Pair(seen.meta["ids"][index], origin, rebuilt_origin, target, rebuilt_target, each))
    return Sheet(name, model, attack, tuple(names.number(weights[level]) for level in levels), tuple(pairs))
