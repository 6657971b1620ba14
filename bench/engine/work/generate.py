"""Jobs on generators: drawing samples, measuring sets of samples."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.attacks.draws import Draws
from bench.catalogue import is_import_name
from bench.data.catalogue import DATA
from bench.data.files import is_folder
from bench.data.folder import common_mode, image_files, read_images
from bench.data.npz import read_array
from bench.data.samples import as_inputs
from bench.engine.work.calling import answered, classifier
from bench.engine.work.featured import featured
from bench.engine.work.looks import measure_looks
from bench.engine.work.workplace import Workplace
from bench.errors import DataError, MetricError, ModelError
from bench.manifest.running import user_code
from bench.metrics.catalogue import METRICS
from bench.metrics.measured import NOTE, Measured
from bench.models.interfaces import GeneratorLike
from bench.randomness import derive_seed

FEW = 10
"""Samples a feature below which the distance that two samples of the data would have is only bounded."""
FAR_TOO_FEW = 4
"""Features a sample above which it is not even that."""


def sample(work: Mapping[str, Any], place: Workplace) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Draw samples: from a model with noise that all models of the evaluation share, from a file, or from data."""
    if "data" in work:
        return {}, {"samples": _halves(work, place)[0]}
    if "samples" in work["model"]:
        return {}, {"samples": _from_file(Path(work["model"]["samples"]), work["samples"])}
    model, name = place.model(work["model"]), work["model"]["name"]
    if not isinstance(model, GeneratorLike) and not hasattr(model, "decode"):
        raise ModelError(f"model '{name}' cannot draw samples: expected a generator or a model with `decode`")
    draw = model.decode if hasattr(model, "decode") else model
    # one seed a sample, so that sample i is the same however many are drawn
    seeds = [derive_seed(work["seed"], "noise", work["noise"], index) for index in range(work["samples"])]
    size = getattr(model, "latent_size", None)
    if not isinstance(size, int) or size < 1:
        raise ModelError(f"generator '{name}': expected its noise's length as `latent_size`, found {size!r}")
    noise = Draws(torch.tensor(seeds, device=place.device)).normal((size,), 0)
    with torch.inference_mode():
        parts = place.batched(lambda rows: answered(draw, noise[rows], f"generator '{name}'", "samples"), len(noise))
    samples_drawn = torch.cat(parts)
    if not bool(torch.isfinite(samples_drawn).all()):
        bad = int((~torch.isfinite(samples_drawn.flatten(1)).all(1)).sum())
        raise ModelError(f"model '{name}' drew NaN or infinite values in {bad} of {len(noise)} samples")
    return {}, {"samples": samples_drawn.cpu().numpy()}


def _halves(work: Mapping[str, Any], place: Workplace) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The samples that stand for real data, spread evenly over the data set, and all the others."""
    inputs = place.samples(work["data"]).inputs()
    chosen = np.zeros(len(inputs), np.bool_)
    chosen[np.arange(work["real"]) * len(inputs) // work["real"] if work["real"] else []] = True
    return inputs[chosen], inputs[~chosen]


def _from_file(path: Path, count: int) -> NDArray[np.float32]:
    """The first `count` samples of an .npz file (array `samples`, or its only one) or of an image folder."""
    if is_folder(path):
        files = image_files(path)[:count]
        images: NDArray[Any] = read_images(files, mode=common_mode(files), size=None)
    else:
        images = read_array(path, None)
    if len(images) < count:
        raise DataError(f"expected at least {count} samples in {path}, found {len(images)}; lower `samples`")
    images = images[:count]
    as_inputs(images, name=str(path))
    scaled = images.astype(np.float32) / np.float32(255) if images.dtype == np.uint8 else images.astype(np.float32)
    if not np.isfinite(scaled).all():
        raise DataError(f"{path} holds NaN or infinite values")
    return scaled


def measure(work: Mapping[str, Any], place: Workplace) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """One metric of one set of samples, against the data set's remaining samples; or of a training's looks."""
    if "looks" in work:
        return measure_looks(work, place)
    samples = place.tensor(place.record(work["samples"]["job"]).arrays["samples"])
    reference = place.tensor(_halves(work, place)[1])
    if len(samples) == 0 or len(reference) == 0:
        raise MetricError(
            f"there are {len(samples)} samples to measure against {len(reference)} of the data "
            f"'{work['data']['name']}'; take more of it"
        )
    if samples.shape[1:] != reference.shape[1:]:
        raise MetricError(
            f"samples have shape {tuple(samples.shape[1:])} each, the data '{work['data']['name']}' "
            f"{tuple(reference.shape[1:])}; expected the same"
        )
    low, high = work["data"]["range"] or (float("-inf"), float("inf"))
    least, most = float(samples.min()), float(samples.max())
    name = work["metric"]["name"]
    anywhere = not is_import_name(name) and METRICS[name].traits.get("any_range", False)
    if not anywhere and (least < low - 1e-6 or most > high + 1e-6):
        raise MetricError(
            f"samples lie in [{least:g}, {most:g}], the data '{work['data']['name']}' in [{low:g}, {high:g}]; a "
            f"distance between them says nothing: scale the samples, inside the model where there is one"
        )
    options = dict(work["metric"]["options"])
    facts: dict[str, Any] = {"n": len(samples), "reference_n": len(reference)}
    if is_import_name(name):
        value = user_code("metric", name)(samples, reference, **options)
        return {**facts, "values": {"": _number(name, value)}}, {}
    entry = METRICS[name]
    if entry.traits.get("mixture"):
        options["mixture"] = DATA[work["data"]["source"]].traits["mixture"]
        values = entry.load()(samples.cpu().numpy(), reference.cpu().numpy(), **options)
    elif entry.traits.get("network") == "features":
        compared = featured(work, place, samples, reference)
        facts |= {"basis": compared.basis, "note": compared.named}
        values = entry.load()(compared.samples, compared.reference, **{**options, "features": None})
    else:
        if "network" in work:
            network = place.model(work["network"])
            options[entry.traits["network"]] = classifier(network, work["network"]["name"])
        values = entry.load()(samples, reference, **options)
    found = values if isinstance(values, Measured) else Measured(values)
    numbers = {key: _number(name, value) for key, value in found.values.items()}
    said = [facts.get("note", ""), found.note]
    if "bias" in numbers:
        said.append(_apart(numbers.pop("bias"), min(facts["n"], facts["reference_n"]), compared.reference[0].numel()))
    facts["note"] = NOTE.join(filter(None, said))
    return {**facts, "values": numbers}, dict(found.arrays)


def _apart(bias: float, samples: int, width: int) -> str:
    """What to say of the distance that two samples of the data would have.

    The first term of a series in features over samples: it falls short where these are nearly as many, since the
    eigenvalues it is made from are too small, and is far too large where features are many times as many.
    """
    if samples < width / FAR_TOO_FEW:
        return f"too few samples for {width:,} features to say how far apart two such samples of the data would be"
    bound = "at least " if samples < FEW * width else ""
    return f"two such samples of the data would be {bound}{bias:.3g} apart"


def _number(name: str, value: Any) -> float:
    """A metric's value as a finite float."""
    try:
        number = float(value.item() if isinstance(value, Tensor) else value)
    except (TypeError, ValueError, RuntimeError):
        raise MetricError(f"metric '{name}' returned a {type(value).__name__}; expected one number") from None
    if not np.isfinite(number):
        raise MetricError(f"metric '{name}' returned {number}; expected a finite number")
    return number
