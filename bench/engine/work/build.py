"""Jobs that build users' models: what a model is, so that its outcomes can be named by it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.attacks.draws import Draws
from bench.engine.store import read_record
from bench.engine.work.seeding import seeded
from bench.engine.work.workplace import Workplace
from bench.errors import BenchError
from bench.hashing import arrays_digest, digest
from bench.manifest.component import label
from bench.manifest.entries import Manifests
from bench.models.build import Model, build, check_kind, own_copy, ready
from bench.models.identity import state_digest
from bench.randomness import derive_seed

SHOWN = 16
"""Samples that a model's answers are kept for."""
_TOLERANCE = 1e-4
"""Relative and absolute difference of answers up to which two models answer alike, on whatever machine."""
UNSTABLE = (
    "gives another model each time: its state differs between two builds under one seed, so no figure of it can be "
    "reproduced; draw random numbers from the global generators of torch, NumPy or Python, which are seeded"
)


def build_model(work: Mapping[str, Any], place: Workplace) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Build a user's model twice: the digest of its state, and its answers to a few samples.

    Where a model's list cannot hold all that it uses, the record of an earlier run is compared: with equal state, and
    equal answers to the samples stored there, the model is what it was.
    """
    facts = work["model"]
    model, state = _built(facts)
    _, again = _built(facts)
    stable = state == again
    if not stable:
        place.worlds.untracked(label("model", facts["load"]), UNSTABLE)
    check_kind(model, facts["kind"], facts["name"])
    model = ready(own_copy(model), place.device)
    found: dict[str, Any] = {"state": state, "stable": stable}
    earlier = read_record(Path(place.earlier)) if place.earlier and stable else None
    if earlier is not None and earlier.meta["state"] == state:
        shown = earlier.arrays.get("shown")
        answers = None if shown is None else _answers(model, facts["kind"], place.tensor(shown), place)
        if _alike(answers, earlier.arrays.get("answers")):
            return {**found, "answers": earlier.meta["answers"], "same_as": earlier.content}, dict(earlier.arrays)
    shown = _shown(model, work, place)
    answers = None if shown is None else _answers(model, facts["kind"], place.tensor(shown), place)
    arrays = {name: values for name, values in (("shown", shown), ("answers", answers)) if values is not None}
    return {**found, "answers": arrays_digest(arrays)}, arrays


def content_of(meta: Mapping[str, Any], used: Manifests) -> str:
    """Names a built model: its state, what building it used, and its answers where that list is incomplete."""
    if "same_as" in meta:
        return str(meta["same_as"])
    return digest([meta["state"], used.content, meta["answers"] if used.untracked() else ""])


def _built(facts: Mapping[str, Any]) -> tuple[Model, str]:
    """A model as its factory gives it, and the digest of its state."""
    with seeded(0):
        model = build(facts)
    return model, state_digest(model)


def _shown(model: Model, work: Mapping[str, Any], place: Workplace) -> NDArray[Any] | None:
    """The samples that a model's answers are kept for; None where there are none."""
    if work["model"]["kind"] == "generator":
        size = getattr(model, "latent_size", None)
        seeds = torch.tensor([derive_seed(work["seed"], "shown", index) for index in range(SHOWN)])
        return Draws(seeds).normal((size,), 0).numpy() if isinstance(size, int) and size > 0 else None
    if "data" not in work:
        return None
    try:
        return place.samples(work["data"]).stretch(0, SHOWN).inputs()
    except BenchError:  # its own jobs say what is wrong with it
        return None


def _answers(model: Model, kind: str, shown: Tensor, place: Workplace) -> NDArray[Any] | None:
    """What a model answers to some samples; None where it fails, which its own jobs report."""
    wanted = {"autoencoder": "encode", "features": "features"}.get(kind, "")
    function: Any = getattr(model, wanted, model)
    try:
        with torch.no_grad(), seeded(0):
            parts = place.batched(lambda rows: function(shown[rows]), len(shown))
        found = torch.cat([part if isinstance(part, Tensor) else part[0] for part in parts])
        return found.detach().float().cpu().numpy()
    except (Exception, SystemExit):  # whatever a user's code raises
        return None


def _alike(now: NDArray[Any] | None, then: NDArray[Any] | None) -> bool:
    if now is None or then is None:
        return now is None and then is None
    return now.shape == then.shape and bool(np.allclose(now, then, rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True))
