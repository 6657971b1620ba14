"""Jobs that make inputs: running a data source, training a model."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bench.attacks.verify import check_logits
from bench.data.catalogue import DATA, Imported
from bench.data.imported import materialised
from bench.engine.unfinished import drop
from bench.engine.work.calling import classifier, out_of_memory
from bench.engine.work.checkpoint import FileCheckpoint
from bench.engine.work.workplace import Workplace
from bench.errors import BenchError, DataError, ModelError
from bench.models.build import build, check_kind, own_copy
from bench.randomness import derive_seed, forked_torch_seed
from bench.training.catalogue import RECIPES
from bench.training.common import TrainingData
from bench.training.contest import train_game
from bench.training.together import LOOK, Fate

Made = tuple[dict[str, Any], dict[str, NDArray[Any]]]
"""What a job leaves: facts as JSON, and arrays by name."""


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
    if RECIPES[work["recipe"]["name"]].traits.get("together"):
        (made,) = train_together(work, [work["trial"]], place)
        if isinstance(made, BenchError):
            drop(place.outputs[0])
            raise made
        return made
    data, seed = _data(work, place), _seed(work, work["trial"])
    model = _untrained(work, seed, data, place)
    started = time.perf_counter()
    with forked_torch_seed(derive_seed(seed, "layers")), _explained(work, data):
        log = _recipe(work)(model, data, seed=seed, report=place.report)
    return _made(model, log.figures, time.perf_counter() - started)


def train_together(work: Mapping[str, Any], trials: Sequence[int], place: Workplace) -> list[Made | BenchError]:
    """Train several trials of a model as one; for each what `train` would leave, or why it leaves nothing.

    The training is kept in the store until whoever writes the records drops it. What was begun as a larger stack goes
    on as that stack, and its other trials leave nothing here.
    """
    data = _data(work, place)
    checkpoint = FileCheckpoint(place.outputs, trials)
    seeds = [_seed(work, trial) for trial in checkpoint.stack.values()]
    models = [_untrained(work, seed, data, place) for seed in seeds]
    started = time.perf_counter()
    with forked_torch_seed(derive_seed(seeds[0], "layers")), _explained(work, data):
        fates = train_game(
            RECIPES[work["recipe"]["name"]],
            work["recipe"]["options"],
            models,
            data,
            seeds=seeds,
            report=place.report,
            checkpoint=checkpoint,
        )
    seconds = (time.perf_counter() - started) / len(models)
    made = {name: _end(model, fate, seconds) for name, model, fate in zip(checkpoint.stack, models, fates, strict=True)}
    return [made[output.name] for output in place.outputs]


def _end(model: nn.Module, fate: Fate, seconds: float) -> Made | BenchError:
    """What a trial of a stack leaves, or why it leaves nothing."""
    if fate.diverged is not None:
        return ModelError(
            f"training diverged: at iteration {fate.diverged} some weights were NaN or infinite; "
            f"lower the learning rate"
        )
    facts, weights = _made(model, fate.log.figures, seconds)
    return facts, weights | {f"{LOOK}{at}": seen.numpy() for at, seen in fate.looks.items()}


def _seed(work: Mapping[str, Any], trial: int) -> int:
    return derive_seed(work["seed"], "train", work["recipe"]["name"], trial)


def _recipe(work: Mapping[str, Any]) -> Callable[..., Any]:
    """The recipe with its options filled in."""
    recipe = RECIPES[work["recipe"]["name"]]
    return partial(recipe.load(), **recipe.options(**work["recipe"]["options"]).model_dump())


def _name(work: Mapping[str, Any]) -> str:
    return str(work["model"]["load"] if "load" in work["model"] else work["model"]["arch"]["name"])


def _data(work: Mapping[str, Any], place: Workplace) -> TrainingData:
    samples = place.samples(work["data"])
    labels = None if samples.y is None else place.tensor(samples.y)
    return TrainingData(place.tensor(samples.inputs()), labels)


def _untrained(work: Mapping[str, Any], seed: int, data: TrainingData, place: Workplace) -> nn.Module:
    """The model of one trial, on its device, before training."""
    with forked_torch_seed(derive_seed(seed, "initial weights")):
        model = build(work["model"])
    name = _name(work)
    if not isinstance(model, nn.Module):
        raise ModelError(f"'{name}' gave a {type(model).__name__}; expected a torch module, since it is to be trained")
    check_kind(model, work["model"]["kind"], name)
    model = own_copy(model) if "load" in work["model"] else model
    model.to(place.device)
    if work["model"]["kind"] == "classifier":
        _check_fit(model, name, data, work["data"]["name"])
    return model


@contextmanager
def _explained(work: Mapping[str, Any], data: TrainingData) -> Iterator[None]:
    """Say which recipe could not train what on what."""
    try:
        yield
    except Exception as error:
        if isinstance(error, BenchError) or out_of_memory(error):
            raise
        raise ModelError(
            f"recipe '{work['recipe']['name']}' cannot train '{_name(work)}' on inputs of shape "
            f"{tuple(data.x.shape)}: {type(error).__name__}: {error}"
        ) from error


def _made(model: nn.Module, figures: Mapping[str, Any], seconds: float) -> Made:
    """What a training leaves."""
    weights = {name: copy.deepcopy(value).cpu().numpy() for name, value in model.state_dict().items()}
    if not all(np.isfinite(value).all() for value in weights.values()):
        raise ModelError("training diverged: some weights are NaN or infinite; lower the learning rate")
    return {"figures": dict(figures), "training_seconds": seconds, "torch": torch.__version__}, weights


def _check_fit(model: nn.Module, name: str, data: TrainingData, source: str) -> None:
    """Complain about a classifier that cannot take the data, before it is trained for an hour."""
    if data.y is None:
        raise DataError(f"data '{source}' has no labels; a classifier is trained on labelled data")
    with forked_torch_seed(0), torch.no_grad():
        check_logits(classifier(model.eval(), name)(data.x[:1]), 1, data.y)
