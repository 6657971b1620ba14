"""Jobs on classifiers: crafting examples, verifying them on a victim, scoring them with a user's metric."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.attacks.attack import Attack
from bench.attacks.budget import Budget
from bench.attacks.curve import MISCLASSIFIED, curve
from bench.attacks.inputs import are_probabilities
from bench.attacks.padding import call_padded
from bench.attacks.threat import Threat
from bench.attacks.verify import check_logits, verify
from bench.data.samples import Samples
from bench.engine.work.calling import classifier
from bench.engine.work.workplace import VERIFY_BATCH, Workplace
from bench.errors import DataError, MetricError, NoGradientError
from bench.manifest.running import user_code
from bench.randomness import derive_seed


def chunk(work: Mapping[str, Any], place: Workplace) -> tuple[Samples, Tensor, Tensor]:
    """The samples of a job, with inputs and labels on the device."""
    skip = work["data"]["options"].get("skip", 0)
    samples = place.samples(work["data"]).stretch(work["start"] - skip, work["stop"] - skip)
    if samples.y is None:
        raise DataError(f"data '{work['data']['name']}' has no labels; classifiers are judged by labels")
    return samples, place.tensor(samples.inputs()), place.tensor(samples.y)


def clean_logits(
    model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, place: Workplace, size: int | None = None
) -> Tensor:
    """Clean logits (n, classes), checked."""
    with torch.inference_mode():
        logits = torch.cat(place.batched(lambda rows: call_padded(model, x[rows]), len(x), size))
    check_logits(logits, len(x), y)
    return logits.clone()


def threat_of(work: Mapping[str, Any], epsilon: float) -> Threat:
    """The threat of a job at one radius."""
    low, high = work["data"]["range"] or (float("-inf"), float("inf"))
    return Threat(work["threat"]["norm"], epsilon, low, high)


def choose_targets(rule: str, logits: Tensor, y: Tensor, seeds: list[int]) -> Tensor | None:
    """A class other than the label for each sample, by the threat model's rule; None for `none`."""
    classes = logits.shape[1]
    if rule == "none":
        return None
    if rule == "next":
        return (y + 1) % classes
    if rule == "random":
        offsets = torch.tensor([1 + seed % (classes - 1) for seed in seeds], device=y.device)
        return (y + offsets) % classes
    return logits.scatter(1, y[:, None], torch.inf).argmin(1)


def attack(work: Mapping[str, Any], place: Workplace) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Craft examples at each epsilon, sharing what can be shared between them (see `bench.attacks.curve`).

    For a model's own robustness only correctly classified samples are attacked. For transfer every sample is, at every
    epsilon.
    """
    samples, x, y = chunk(work, place)
    model, every = classifier(place.model(work["model"]), work["model"]["name"]), work["every"]
    logits = clean_logits(model, x, y, place)
    seeds = [derive_seed(work["seed"], "target", name) for name in samples.ids]
    targets = choose_targets(work["threat"]["target"], logits, y, seeds)
    radii = work["threat"]["epsilon"]
    correct = logits.argmax(1) == y
    rows = torch.arange(len(x), device=x.device) if every else correct.nonzero().squeeze(1)
    budget = Budget(**work["budget"]) if work["budget"] else None
    method = Attack(
        work["attack"]["name"], threat_of(work, max(radii)), work["seed"], work["attack"]["options"], budget
    )
    examples = x.expand(len(radii), *x.shape).clone()
    known = torch.full((len(radii), len(x)), MISCLASSIFIED, dtype=torch.uint8)
    costs = torch.zeros(2, len(radii), len(x))
    facts: dict[str, Any] = {"epsilon": radii}

    def batch(part: slice) -> None:
        chosen = rows[part]
        aims = None if targets is None else targets[chosen]
        ids = [samples.ids[index] for index in chosen.tolist()]

        def report(share: float) -> None:
            place.report((part.start + share * len(chosen)) / len(rows))

        try:
            found = curve(
                method, model, x[chosen], y[chosen], epsilons=radii, targets=aims, ids=ids, every=every, report=report
            )
        except NoGradientError as error:
            # an outcome, and no accident: nothing was found, and whoever reads it is told why
            facts["no_gradient"] = str(error)
            return
        examples[:, chosen] = found.examples
        here = chosen.cpu()
        known[:, here] = found.known
        costs[:, :, here] = torch.stack([found.forwards, found.backwards])

    if len(rows):
        place.batched(batch, len(rows))
    arrays = {
        "examples": examples.cpu().numpy(),
        "known": known.numpy(),
        "source_correct": correct.cpu().numpy(),
        "forwards": costs[0].numpy(),
        "backwards": costs[1].numpy(),
    }
    if targets is not None:
        arrays["targets"] = targets.cpu().numpy()
    return facts, arrays


def judge(work: Mapping[str, Any], place: Workplace) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Verify examples on a victim: per epsilon and sample, what the attack achieved."""
    samples, x, y = chunk(work, place)
    crafted = place.record(work["examples"]["job"])
    model = classifier(place.model(work["model"]), work["model"]["name"])
    clean = clean_logits(model, x, y, place, VERIFY_BATCH)
    aims = place.tensor(crafted.arrays["targets"]) if "targets" in crafted.arrays else None
    columns: dict[str, list[NDArray[Any]]] = {}
    for level, epsilon in enumerate(work["threat"]["epsilon"]):
        examples = place.tensor(crafted.arrays["examples"][level])

        def look(part: slice, examples: Tensor = examples, epsilon: float = epsilon) -> dict[str, NDArray[Any]]:
            goal = None if aims is None else aims[part]
            seen = verify(model, x[part], y[part], examples[part], threat=threat_of(work, epsilon), targets=goal)
            return {name: value.numpy() for name, value in vars(seen).items()}

        parts = place.batched(look, len(x), VERIFY_BATCH)
        for name in parts[0]:
            columns.setdefault(name, []).append(np.concatenate([part[name] for part in parts]))
    arrays = {name: np.stack(values) for name, values in columns.items()}
    arrays |= {name: crafted.arrays[name] for name in ("known", "forwards", "backwards", "source_correct")}
    arrays["correct"] = (clean.argmax(1) == y).cpu().numpy()
    arrays["label"] = y.cpu().numpy()
    invalid = int((~arrays["valid"]).sum())
    facts = {"ids": list(samples.ids), "epsilon": work["threat"]["epsilon"], "invalid": invalid}
    facts |= {"probabilities": True} if len(clean) > 1 and are_probabilities(clean) else {}
    facts |= {key: crafted.meta[key] for key in ("no_gradient", "tried") if key in crafted.meta}
    return facts, arrays


def score(work: Mapping[str, Any], place: Workplace) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """A user's metric, called as `metric(model, x, examples, y, **options)`: one value a sample, at each epsilon."""
    _, x, y = chunk(work, place)
    crafted = place.record(work["examples"]["job"])
    model, name = place.model(work["model"]), work["metric"]["name"]
    metric = user_code("metric", name)
    rows = []
    for level in range(len(work["threat"]["epsilon"])):
        examples = place.tensor(crafted.arrays["examples"][level])
        # clones, so that a metric that works in place does not spoil the next level
        values = metric(model, x.clone(), examples, y.clone(), **work["metric"]["options"])
        rows.append(_scores(name, values, len(x)))
    return {}, {"values": np.stack(rows)}


def _scores(name: str, values: Any, count: int) -> NDArray[np.float64]:
    """What a user's metric returned, as one finite number a sample."""
    found = np.array(values.detach().cpu().numpy() if isinstance(values, Tensor) else values)
    if found.dtype.kind not in "biuf":
        raise MetricError(f"metric '{name}' returned a {type(values).__name__}; expected {count} numbers")
    array = found.astype(np.float64)
    if array.shape != (count,):
        raise MetricError(f"metric '{name}' returned an array of shape {array.shape}; expected ({count},)")
    bad = int((~np.isfinite(array)).sum())
    if bad:
        raise MetricError(f"metric '{name}' returned NaN or infinite values for {bad} of {count} samples")
    return array
