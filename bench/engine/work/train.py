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

from bench.attacks.verify import check_logits
from bench.data.catalogue import DATA, Imported
from bench.data.imported import materialised
from bench.engine.work.calling import classifier, out_of_memory
from bench.engine.work.workplace import Workplace
from bench.errors import BenchError, DataError, ModelError
from bench.models.build import build, check_kind, own_copy
from bench.randomness import derive_seed, forked_torch_seed
from bench.training.catalogue import RECIPES
from bench.training.common import TrainingData


def materialise(work: Mapping[str, Any], place: Workplace) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:  # noqa: ARG001
    """Run a data source and keep all its samples."""
    source = work["source"]
    options = (DATA[source].options if source in DATA else Imported)(**work["options"])
    samples = materialised(source, options)  # type: ignore[arg-type]
    # as an array, so that the ids are part of the content that names these samples: random numbers derive from them
    ids = np.frombuffer("\n".join(samples.ids).encode(), np.uint8)
    arrays = {"x": np.asarray(samples.x), "ids": ids}
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
    name = work["model"]["load"] if "load" in work["model"] else work["model"]["arch"]["name"]
    if not isinstance(model, nn.Module):
        raise ModelError(f"'{name}' gave a {type(model).__name__}; expected a torch module, since it is to be trained")
    check_kind(model, work["model"]["kind"], name)
    model = own_copy(model) if "load" in work["model"] else model
    model.to(place.device)
    labels = None if samples.y is None else place.tensor(samples.y)
    data = TrainingData(place.tensor(samples.inputs()), labels)
    if work["model"]["kind"] == "classifier":
        _check_fit(model, name, data, work["data"]["name"])
    recipe = RECIPES[work["recipe"]["name"]]
    options = recipe.options(**work["recipe"]["options"]).model_dump()
    started = time.perf_counter()
    with forked_torch_seed(derive_seed(seed, "layers")):
        try:
            log = recipe.load()(model, data, seed=seed, report=place.report, **options)
        except Exception as error:
            if isinstance(error, BenchError) or out_of_memory(error):
                raise
            raise ModelError(
                f"recipe '{recipe.name}' cannot train '{name}' on inputs of shape {tuple(data.x.shape)}: "
                f"{type(error).__name__}: {error}"
            ) from error
    weights = {name: copy.deepcopy(value).cpu().numpy() for name, value in model.state_dict().items()}
    if not all(np.isfinite(value).all() for value in weights.values()):
        raise ModelError("training diverged: some weights are NaN or infinite; lower the learning rate")
    facts = {"figures": log.figures, "training_seconds": time.perf_counter() - started, "torch": torch.__version__}
    return facts, weights


def _check_fit(model: nn.Module, name: str, data: TrainingData, source: str) -> None:
    """Complain about a classifier that cannot take the data, before it is trained for an hour."""
    if data.y is None:
        raise DataError(f"data '{source}' has no labels; a classifier is trained on labelled data")
    with forked_torch_seed(0), torch.no_grad():
        check_logits(classifier(model.eval(), name)(data.x[:1]), 1, data.y)
