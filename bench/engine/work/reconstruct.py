"""Jobs on autoencoders: redirecting images, inspecting what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.attacks.catalogue import ATTACKS
from bench.attacks.draws import Draws
from bench.catalogue import is_import_name
from bench.data.samples import Samples
from bench.engine.work.calling import answered
from bench.engine.work.workplace import VERIFY_BATCH, Workplace
from bench.errors import AttackError, DataError, ModelError
from bench.manifest.running import user_code
from bench.randomness import derive_seed
from bench.suite.names import trade_offs
from bench.suite.schema import Use


def choose_pairs(samples: Samples, count: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first `count` samples, each with a target of another class; targets depend on seed and id alone.

    Raises:
        DataError: No labels, too few samples, or a single class.
    """
    if samples.y is None:
        raise DataError("pairs of different classes need labelled data, and the data set has no labels")
    if len(samples) < count:
        raise DataError(f"expected at least {count} samples for {count} pairs, found {len(samples)}")
    targets = []
    for index in range(count):
        others = np.flatnonzero(samples.y != samples.y[index])
        if len(others) == 0:
            raise DataError("pairs of different classes need at least two classes, found one")
        targets.append(others[derive_seed(seed, "pair", samples.ids[index]) % len(others)])
    return np.arange(count), np.array(targets)


def _pairs(work: Mapping[str, Any], place: Workplace) -> tuple[list[str], Tensor, Tensor]:
    samples = place.samples(work["data"])
    first, second = choose_pairs(samples, work["pairs"], work["seed"])
    inputs = samples.inputs()
    return [samples.ids[index] for index in first], place.tensor(inputs[first]), place.tensor(inputs[second])


def redirect(work: Mapping[str, Any], place: Workplace) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Move each image towards its target's code, at each trade-off."""
    ids, x, target = _pairs(work, place)
    model, name = place.model(work["model"]), work["attack"]["name"]
    weights = trade_offs(Use(name=name, label=name, options=work["attack"]["options"]))
    method = user_code("attack", name) if is_import_name(name) else ATTACKS[name].load()
    seeds = torch.tensor([derive_seed(work["seed"], name, sample) for sample in ids], device=place.device)
    low, high = work["data"]["range"] or (float("-inf"), float("inf"))

    def batch(part: slice) -> Tensor:
        moved = method(
            model, x[part], target[part], low=low, high=high, draws=Draws(seeds[part]), **work["attack"]["options"]
        )
        expected = (len(weights), *x[part].shape)
        if not isinstance(moved, Tensor) or tuple(moved.shape) not in (expected, expected[1:]):
            found = tuple(moved.shape) if isinstance(moved, Tensor) else type(moved).__name__
            raise AttackError(f"attack '{name}' returned {found}; expected a tensor of shape {expected}")
        return moved.detach().reshape(expected)

    size = max(1, place.batch_size // len(weights))
    examples = torch.cat(place.batched(batch, len(x), size), 1)
    return {"trade_off": weights}, {"examples": examples.cpu().numpy()}


def inspect(work: Mapping[str, Any], place: Workplace) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Measure moved images from their numbers alone, with the distances of Tabacof et al. 2016.

    Arrays have shape (trade-offs, pairs): `distance` |d|; `input_distortion` |d| / |x_o - x_t|; `target_distance`
    (|rec(x_o+d) - x_t| - |rec(x_t) - x_t|) / (|rec(x_o) - x_t| - |rec(x_t) - x_t|); `reached`, whether the
    reconstruction is nearer to the target's than to the origin's; `valid`, finite and inside the box; and of shape
    (pairs,) `reconstruction_error`, the mean squared error of a pixel of the clean image. A share of nothing is NaN.
    """
    ids, x, target = _pairs(work, place)
    record = place.record(work["examples"]["job"])
    model = place.model(work["model"])
    low, high = work["data"]["range"] or (float("-inf"), float("inf"))
    who = f"autoencoder '{work['model']['name']}'"

    def through(images: Tensor) -> Tensor:
        return model.decode(model.encode(images))  # type: ignore[no-any-return]

    def rebuilt(images: Tensor) -> Tensor:
        def batch(rows: slice) -> Tensor:
            return answered(through, images[rows], who, "images")

        with torch.inference_mode():
            result = torch.cat(place.batched(batch, len(images), VERIFY_BATCH))
        if result.shape != images.shape or not bool(torch.isfinite(result).all()):
            found = "NaN or infinite values" if result.shape == images.shape else f"{tuple(result.shape)}"
            raise ModelError(f"{who}: expected finite reconstructions of shape {tuple(images.shape)}, found {found}")
        return result

    def length(difference: Tensor) -> Tensor:
        return difference.flatten(1).double().square().sum(1).sqrt()

    rec_x, rec_t = rebuilt(x), rebuilt(target)
    floor, ceiling = length(rec_t - target), length(rec_x - target)
    columns: dict[str, list[Tensor]] = {}
    seen: list[NDArray[Any]] = []
    for moved in record.arrays["examples"]:
        points = place.tensor(moved)
        flat = points.flatten(1)
        valid = torch.isfinite(flat).all(1) & (flat >= low - 1e-6).all(1) & (flat <= high + 1e-6).all(1)
        points = torch.where(valid.reshape(-1, *[1] * (x.ndim - 1)), points, x)
        rec = rebuilt(points)
        seen.append(rec.cpu().numpy())
        row = {
            "distance": length(points - x),
            "input_distortion": _share(length(points - x), length(x - target)),
            "target_distance": _share(length(rec - target) - floor, ceiling - floor),
            "reached": length(rec - rec_t) < length(rec - rec_x),
            "valid": valid,
        }
        for key, value in row.items():
            columns.setdefault(key, []).append(value)
    arrays = {key: torch.stack(values).cpu().numpy() for key, values in columns.items()}
    if np.isnan(arrays["input_distortion"]).all():
        raise DataError("every pair is twice the same image under two classes; nothing can be measured")
    if np.isnan(arrays["target_distance"]).all():
        raise ModelError(f"{who} rebuilds origin and target of every pair alike; nothing can be measured")
    arrays["reconstruction_error"] = (rec_x - x).flatten(1).double().square().mean(1).cpu().numpy()
    arrays |= {"origins": x.cpu().numpy(), "targets": target.cpu().numpy()}
    arrays["rebuilt_origins"], arrays["rebuilt_targets"] = rec_x.cpu().numpy(), rec_t.cpu().numpy()
    arrays["rebuilt"] = np.stack(seen)
    return {"ids": ids, "trade_off": record.meta["trade_off"], "invalid": int((~arrays["valid"]).sum())}, arrays


def _share(part: Tensor, whole: Tensor) -> Tensor:
    """One length as a share of another; NaN, which counts for nothing, where the other is 0."""
    return torch.where(whole == 0, torch.nan, part / whole)
