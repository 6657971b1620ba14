"""What metrics of features compare, and what figures made from features must not be compared without."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.engine.work.calling import answered, classifier
from bench.engine.work.workplace import Workplace
from bench.errors import ModelError
from bench.hashing import arrays_digest, digest
from bench.metrics.features import features_of


class Featured(NamedTuple):
    """Samples and real ones as a metric compares them.

    Attributes:
        samples: Features (n, d), or the samples themselves (n, ...) where the suite names no network.
        reference: The same of the data.
        basis: Network, resizing and numbers of samples: figures with another basis are not comparable.
        named: The same, with what the suite calls the network.
    """

    samples: Tensor
    reference: Tensor
    basis: str
    named: str


def featured(work: Mapping[str, Any], place: Workplace, samples: Tensor, reference: Tensor) -> Featured:
    """What a metric of features compares in one job; features are taken once for all metrics of a process."""
    sizes = f"{len(samples):,} samples against {len(reference):,}"
    if "network" not in work:
        basis = f"the samples themselves, not resized; {sizes}"
        return Featured(samples, reference, basis, basis)
    title, who = work["network"]["name"], place.named(work["network"])
    # in one entry: with two, what is kept no longer has room for features of two networks that take turns
    model, name = place.kept(f"network {who}", lambda: _digested(work["network"], place))
    if work["network"]["kind"] == "classifier":
        classifier(model, title)(samples[:1])  # some have features of anything: whether samples fit shows at the end
    network = _features(model, title)

    def taken(which: str, values: Tensor) -> Tensor:
        return place.kept(f"features {who} {which}", lambda: features_of(values, network))

    # a network that prepares its inputs says how
    prepared = str(getattr(model, "described", "not resized"))
    drawn = taken(place.named(work["samples"]), samples)
    real = taken(place.named({**work["data"], "real": work["real"]}), reference)
    basis = f"features of network {name}, {prepared}; {sizes}"
    named = f"features of '{title}' ({name}), {prepared}; {sizes}"
    return Featured(drawn, real, basis, named)


def _digested(network: Mapping[str, Any], place: Workplace) -> tuple[Any, str]:
    """A network and the digits that name it."""
    model = place.model(network)
    built = place.record(network["built"]).content if "built" in network else ""
    return model, _network_digest(model, network, built)


def _network_digest(model: Any, network: Mapping[str, Any], built: str) -> str:
    """Twelve digits that name a network: its architecture or code with options, and its weights."""
    made_of = {key: network[key] for key in ("arch", "load", "args") if key in network}
    if built:
        made_of["built"] = built
    weights: dict[str, NDArray[Any]] = {}
    if isinstance(model, nn.Module):
        # by bytes: numpy has not all the types that weights can have
        weights = {
            f"{name} {values.dtype} {tuple(values.shape)}": values.detach()
            .cpu()
            .contiguous()
            .flatten()
            .view(torch.uint8)
            .numpy()
            for name, values in model.state_dict().items()
        }
    return digest({"made of": made_of, "weights": arrays_digest(weights)})[:12]


def _features(model: Any, name: str) -> Callable[[Tensor], Tensor]:
    """A network's features (n, d); what it returns where it has no `features`."""
    function = model.features if callable(getattr(model, "features", None)) else model
    if not callable(function):
        raise ModelError(f"model '{name}' cannot be called for features")
    return lambda x: answered(function, x, f"model '{name}'", "features").flatten(1)
