"""Jobs on what a training kept of a generator while it went on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from bench.data.catalogue import DATA
from bench.engine.work.workplace import Workplace
from bench.metrics.catalogue import METRICS
from bench.metrics.measured import Measured
from bench.training.together import LOOK


def measure_looks(work: Mapping[str, Any], place: Workplace) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """One metric of the looks of one training at a mixture."""
    arrays = place.record(work["looks"]["job"]).arrays
    looks = {int(name.removeprefix(LOOK)): seen for name, seen in arrays.items() if name.startswith(LOOK)}
    mixture = DATA[work["data"]["source"]].traits["mixture"]
    found: Measured = METRICS[work["metric"]["name"]].load()(looks, mixture=mixture, **work["metric"]["options"])
    facts = {"values": dict(found.values), "above": dict(found.above), "note": found.note}
    return {"n": len(next(iter(looks.values()))), **facts}, dict(found.arrays)
