"""Jobs that make inputs: running a data source, training a model."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bench.data.catalogue import DATA, Imported
from bench.data.imported import imported_dataset
from bench.engine.work.workplace import Workplace
from bench.errors import ModelError
from bench.models.build import build, check_kind
from bench.randomness import derive_seed, forked_torch_seed
from bench.training.catalogue import RECIPES
from bench.training.common import TrainingData


def materialise(work: Mapping[str, Any], place: Workplace) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:  # noqa: ARG001
    """Run a data source and keep all its samples."""
    source = work["source"]
    if source in DATA:
        samples = DATA[source].load()(DATA[source].options(**work["options"]))
    else:
        samples = imported_dataset(source, Imported(**work["options"]))
    arrays = {"x": np.asarray(samples.x)}
    if samples.y is not None:
        arrays["y"] = samples.y
    return {"ids": list(samples.ids), "count": len(samples)}, arrays


def train(work: Mapping[str, Any], place: Workplace) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Train a model by a recipe; its weights are the result.

    Initialisation and training depend on the suite's seed, the trial and the recipe's name alone: not on the model's
    name, nor on anything trained before.
    """
    samples = place.samples(work["data"])
    seed = derive_seed(work["seed"], "train", work["recipe"]["name"], work["trial"])
    with forked_torch_seed(derive_seed(seed, "initial weights")):
        model = build(work["model"])
    if not isinstance(model, nn.Module):
        raise ModelError(f"expected a torch module to train, found a {type(model).__name__}")
    check_kind(model, work["model"]["kind"], "to be trained")
    model.to(place.device)
    labels = None if samples.y is None else place.tensor(samples.y)
    data = TrainingData(place.tensor(samples.inputs()), labels)
    recipe = RECIPES[work["recipe"]["name"]]
    options = recipe.options(**work["recipe"]["options"]).model_dump()
    started = time.perf_counter()
    with forked_torch_seed(derive_seed(seed, "layers")):
        log = recipe.load()(model, data, seed=seed, report=place.report, **options)
    weights = {name: copy.deepcopy(value).cpu().numpy() for name, value in model.state_dict().items()}
    if not all(np.isfinite(value).all() for value in weights.values()):
        raise ModelError("training diverged: some weights are NaN or infinite; lower the learning rate")
    facts = {"figures": log.figures, "training_seconds": time.perf_counter() - started, "torch": torch.__version__}
    return facts, weights
