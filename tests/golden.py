"""What each component does on a tiny fixed case. `python -m tests.golden` writes tests/golden.json anew.

Do that only together with a higher `version` in the catalogue of the component that changed: the version is part of
every key, so that stored outcomes of the old behaviour are not taken for the new one's.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from bench.attacks.attack import create
from bench.attacks.catalogue import ATTACKS
from bench.attacks.draws import Draws
from bench.audit.catalogue import CHECKS
from bench.catalogue import Catalogue
from bench.data import DATA, load_named
from bench.defenses.around import defended
from bench.defenses.catalogue import DEFENSES
from bench.defenses.stage import substituting
from bench.metrics.catalogue import METRICS
from bench.metrics.classification import Outcomes
from bench.metrics.measured import Measured
from bench.models.autoencoders import vae
from bench.models.catalogue import MODELS
from bench.models.packaged import PACKAGED
from bench.models.weights import load_weights, read_weights
from bench.randomness import forked_torch_seed
from bench.training.catalogue import RECIPES
from bench.training.common import TrainingData
from bench.training.contest import train_game
from tests.golden_audit import check_figures, check_version, rescue_figures, rescue_version
from tests.golden_masks import scattered

FILE = Path(__file__).with_suffix(".json")
Figures = dict[str, Any]


def waves(*shape: int) -> Tensor:
    """Numbers in [0, 1] that follow from a formula, so that no generator's version matters."""
    return (torch.arange(math.prod(shape), dtype=torch.float64) * 0.7310585).sin().abs().float().reshape(shape)


def fixed(model: torch.nn.Module) -> torch.nn.Module:
    """A model with weights from a formula."""
    weights = {name: (waves(*value.shape) - 0.5) * 0.4 for name, value in model.state_dict().items()}
    for name in weights:
        if name.endswith("running_variance"):
            weights[name] = weights[name].abs() + 0.5
    model.load_state_dict(weights)
    return model.eval().requires_grad_(False)


def attack_figures(name: str) -> Figures:
    """Flags of an attack on classifiers under each norm; positions reached by one on autoencoders."""
    if ATTACKS[name].traits["against"] == "autoencoder":
        model = fixed(vae(shape=(1, 4, 4), hidden=[8], latent=3))
        x = waves(4, 1, 4, 4)
        options = ATTACKS[name].options(trade_off=[0.1, 1.0], steps=30).model_dump()
        method = ATTACKS[name].load()
        moved = method(model, x, x.flip(0), low=0.0, high=1.0, draws=Draws(torch.arange(4)), **options)
        return {"distortion": (moved - x).flatten(2).norm(dim=2).tolist()}
    model = fixed(MODELS["mlp"].load()(shape=(1, 4, 4), classes=4, hidden=[16]))
    x = waves(40, 1, 4, 4)
    y = model(x).argmax(1)
    figures = {}
    radii = {"linf": 0.05, "l2": 0.15, "l1": 0.4}
    for norm, epsilon in ((norm, radii[norm]) for norm in ATTACKS[name].traits["norms"]):
        for goal, targets in (("untargeted", None), ("targeted", (y + 1) % 4)):
            found = create(name, norm=norm, epsilon=epsilon, seed=1)(model, x, y, targets=targets)  # type: ignore[arg-type]
            figures[f"{norm} {goal}"] = "".join("01"[flag] for flag in found.success.int().tolist())
    return figures


def model_figures(name: str) -> Figures:
    """Names and shapes of the weights, and outputs for fixed weights."""
    model = MODELS[name].load()(**MODELS[name].options().model_dump())
    if name in PACKAGED:  # too deep for made-up weights; that the file fits says what the names and shapes are
        load_weights(model, read_weights(PACKAGED[name].path()), name)
        return {"output": model.eval()(waves(2, 1, 28, 28))[:, :5].tolist()}
    model = fixed(model)
    draws = MODELS[name].traits["kind"] == "generator"
    x = waves(2, model.latent_size) if draws else waves(2, 1, 28, 28)
    shapes = {key: list(value.shape) for key, value in model.state_dict().items()}
    return {"weights": shapes, "output": model(x).flatten(1)[:, :5].tolist()}


def recipe_figures(name: str) -> Figures:
    """Figures of a short training."""
    kind = RECIPES[name].traits["kind"]
    if kind == "generator":
        arch, short, data = generator_training(name)
    else:
        short = {"epochs": 2, "batch_size": 20}
        if name == "adversarial":
            short |= {"epsilon": 0.1, "steps": 2, "warm_up": 0.5}
        arch = {"classifier": "mlp", "autoencoder": "vae"}[kind]
        data = TrainingData(waves(60, 1, 28, 28), torch.arange(60) % 10)
    with forked_torch_seed(0):
        model = MODELS[arch].load()(**MODELS[arch].options().model_dump())
    if RECIPES[name].traits.get("together"):
        train_game(RECIPES[name], short, [model], data, seeds=[7], report=lambda _: None)
    else:
        options = RECIPES[name].options(**short).model_dump()
        RECIPES[name].load()(model, data, seed=7, report=lambda _: None, **options)
    state = model.state_dict()
    return {"norms": [float(value.double().norm()) for key, value in state.items() if not arbitrary(key, state)]}


def arbitrary(key: str, state: Mapping[str, Tensor]) -> bool:
    """Whether a weight follows rounding alone: a bias that the next layer's normalisation takes away, and its mean."""
    place, _, kind = key.rpartition(".")
    layers, _, number = place.rpartition(".")
    if kind == "bias":
        return f"{layers}.{int(number) + 1}.running_mean" in state if number.isdigit() else False
    return kind == "running_mean" and f"{layers}.{int(number) - 1}.bias" in state


def generator_training(name: str) -> tuple[str, dict[str, Any], TrainingData]:
    """Architecture, options and data of a recipe of generators."""
    points, digits = TrainingData(waves(200, 2) * 4), TrainingData(waves(60, 1, 28, 28), torch.arange(60) % 10)
    short: dict[str, Any] = {"iterations": 3}
    return {
        "packed-gan": ("gan-grid", {**short, "packing": 2}, points),
        "packed-images": (
            "dcgan-small",
            {**short, "packing": 2, "batch_size": 4, "width": 2, "judge": "small"},
            TrainingData(waves(20, 3, 28, 28)),
        ),
        "gan": ("gan-images", {**short, "batch_size": 20}, digits),
        "conditional-gan": ("gan-conditional", {**short, "batch_size": 20}, digits),
        "ali": ("gan-grid", short, points),
    }.get(name, ("gan-points", {**short, "batch_size": 50}, points))


def metric_figures(name: str) -> Figures:
    """Values on a fixed case."""
    method = METRICS[name].load()
    if name == "modes":
        points = load_named("grid25", samples=300).x[:, :2]
        return method(points, points, mixture="grid25", radius=3.0, least=1)  # type: ignore[no-any-return]
    if name == "history":
        points = load_named("grid25", samples=300).x[:, :2]
        found = method({10: points, 20: points[:20]}, mixture="grid25", radius=3.0, least=1)
        return {**found.values, "outside": found.arrays["outside"].tolist()}
    if name == "collapse_region":
        points = load_named("grid25", samples=300).x[:, :2]
        found = method(points, points, mixture="grid25", radius=3.0, packs=4)
        return {**found.values, "corners": len(found.arrays["delta"])}
    if METRICS[name].traits.get("network") == "classifier":

        def reads(x: Tensor) -> Tensor:
            return x.flatten(1)[:, :10] * 9

        options = {"splits": 5} if name == "inception_score" else {}
        return method(waves(50, 3, 4, 4), waves(60, 3, 4, 4), classifier=reads, **options)  # type: ignore[no-any-return]
    if METRICS[name].traits["for"] == ("generation",):
        options = METRICS[name].options().model_dump()
        found = method(waves(50, 3), waves(60, 3) ** 2, **options)
        return dict(found.values if isinstance(found, Measured) else found)
    flags = (waves(4, 20) > 0.5).numpy()
    values = method(Outcomes(flags[0], flags[1], waves(20).numpy(), flags[2]))
    return {"mean": float(np.nanmean(values)), "counted": int((~np.isnan(values)).sum())}


def data_figures(name: str) -> Figures:
    """Sums over the first samples of the sources that are always there."""
    if name in ("npz", "folder", "torchvision"):
        return {}
    samples = load_named(name, take=100, **({"split": "test"} if name.startswith("mnist") else {}))
    return {
        "sum": float(samples.inputs().astype(np.float64).sum()),
        "labels": int(samples.y.sum()),
        "id": samples.ids[-1],
    }  # type: ignore[union-attr]


def defense_figures(name: str) -> Figures:
    """Answers of a network with a defence around it at each pass, and how long the gradient is that it lets through."""
    weights, x, options = scattered(4, 144) - 0.5, waves(2, 1, 12, 12), DEFENSES[name].options().model_dump()
    gradients = {}
    for declared in [True, False] if "declared" in options else [None]:
        given = options if declared is None else {**options, "declared": declared}
        model = defended(lambda x: (x - 0.6).flatten(1) @ weights.T, name, given)
        for over in (True, False):
            point = x.clone().requires_grad_()
            with forked_torch_seed(3), substituting(over):
                passes = [model(point) for _ in range(3)]
            sums = [answers[:, :2].sum() for answers in passes if answers.requires_grad]
            lengths = [float(torch.autograd.grad(each, point)[0].double().norm()) for each in sums]
            gradients[f"declared: {declared}, stepped over: {over}"] = lengths
    return {"answers": [answers.flatten().tolist() for answers in passes], "gradients": gradients}


class Kind(NamedTuple):
    """Components of one kind.

    Attributes:
        names: The components.
        version: What names the behaviour of one in a key.
        figures: What one does.
    """

    names: Iterable[str]
    version: Callable[[str], Figures]
    figures: Callable[[str], Figures]


def of_catalogue(catalogue: Catalogue, figures: Callable[[str], Figures]) -> Kind:
    """Components that are named by their version alone."""
    return Kind(catalogue, lambda name: {"version": catalogue[name].version}, figures)


KINDS = {
    "attacks": of_catalogue(ATTACKS, attack_figures),
    "data": of_catalogue(DATA, data_figures),
    "metrics": of_catalogue(METRICS, metric_figures),
    "models": of_catalogue(MODELS, model_figures),
    "recipes": of_catalogue(RECIPES, recipe_figures),
    "defenses": of_catalogue(DEFENSES, defense_figures),
    "checks": Kind(CHECKS, check_version, check_figures),
    "audit": Kind(["rescue"], rescue_version, rescue_figures),
}


def all_figures() -> dict[str, Figures]:
    """Version and figures of every component."""
    return {
        f"{kind}/{name}": {**of.version(name), "figures": of.figures(name)}
        for kind, of in KINDS.items()
        for name in of.names
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(all_figures(), indent=1) + "\n")
