"""Checks of the `evaluations` section: names, kinds and options beyond what a block's own schema says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.attacks.catalogue import ATTACKS
from bench.data.catalogue import DATA
from bench.metrics.catalogue import METRICS
from bench.suite import names, schema
from bench.suite.findings import Findings
from bench.suite.messages import show
from bench.suite.yaml_source import Path

_NEEDS = {
    "robustness": "classifier",
    "transfer": "classifier",
    "reconstruction": "autoencoder",
    "generation": "generator",
}


def check_evaluation(findings: Findings, name: str, value: Mapping[str, Any]) -> schema.AnyEvaluation | None:
    """One evaluation, resolved; None when it has mistakes."""
    path: Path = ("evaluations", name)
    kind = value.get("kind")
    if kind not in schema.EVALUATIONS:
        message = f"expected `kind:` with one of {', '.join(schema.EVALUATIONS)}"
        if kind is not None:
            message += f", found {show(kind)}"
        findings.add(path if kind is None else (*path, "kind"), message)
        return None
    before = findings.count
    model = schema.EVALUATIONS[kind]
    block = findings.block(model, value, path) or findings.partial(model, value)
    if hasattr(block, "data"):
        findings.known("data", block.data, (*path, "data"))
    for axis in ("models", "surrogates", "victims"):
        _check_models(findings, kind, getattr(block, axis, []), (*path, axis))
    threat = getattr(block, "threat", None)
    changes: dict[str, Any] = {}
    if hasattr(block, "attacks"):
        norm = threat.norm if threat is not None else None
        changes["attacks"] = _check_attacks(findings, kind, block.attacks, norm, (*path, "attacks"))
    if hasattr(block, "metrics"):
        data = getattr(block, "data", None)
        changes["metrics"] = _check_metrics(findings, kind, block.metrics, data, (*path, "metrics"))
    if threat is not None:
        _check_epsilons(findings, threat.epsilon, (*path, "threat", "epsilon"))
    return block.model_copy(update=changes) if findings.count == before else None


def _check_models(findings: Findings, kind: str, listed: list[str], path: Path) -> None:
    """The models of an axis exist, once each, and are of the kind the evaluation needs."""
    findings.unique(listed, path, "model")
    for index, name in enumerate(listed):
        if not findings.known("models", name, (*path, index)):
            continue
        block = findings.raw["models"][name]
        found = block.get("kind") if isinstance(block, Mapping) else None
        arch = block.get("arch") if isinstance(block, Mapping) else None
        draws = kind == "generation" and (arch == "vae" or (isinstance(arch, Mapping) and "vae" in arch))
        if found is not None and found != _NEEDS[kind] and not draws:
            findings.add((*path, index), f"a {kind} evaluation needs a {_NEEDS[kind]}; '{name}' is a {found}")


def _check_attacks(
    findings: Findings, kind: str, uses: list[schema.Use], norm: str | None, path: Path
) -> list[schema.Use]:
    findings.unique([use.label for use in uses], path, "attack")
    resolved = []
    for index, use in enumerate(uses):
        place = (*path, index)
        if use.label in names.RESERVED:
            findings.add(place, f"'{use.label}' is the name of a row of its own; choose another with `as:`")
        defaults = ATTACKS[use.name].traits.get("transfer", {}) if kind == "transfer" and use.name in ATTACKS else {}
        checked = findings.component(ATTACKS, use, place, defaults)
        if checked is None:
            continue
        resolved.append(checked)
        if checked.imported:
            continue
        traits = ATTACKS[checked.name].traits
        if traits["against"] != _NEEDS[kind]:
            findings.add(place, f"'{use.name}' attacks a {traits['against']}; a {kind} evaluation has {_NEEDS[kind]}s")
        elif norm is not None and norm not in traits["norms"]:
            findings.add(place, f"'{use.name}' works under {' and '.join(traits['norms'])}, not under {norm}")
        if "trade_off" in checked.options:
            _check_epsilons(findings, checked.options["trade_off"], (*place, use.name, "trade_off"))
    return resolved


def _check_metrics(
    findings: Findings, kind: str, uses: list[schema.Use], data: str | None, path: Path
) -> list[schema.Use]:
    findings.unique([use.label for use in uses], path, "metric")
    resolved = []
    for index, use in enumerate(uses):
        place = (*path, index)
        checked = findings.component(METRICS, use, place)
        if checked is None:
            continue
        resolved.append(checked)
        if checked.imported:
            continue
        traits = METRICS[checked.name].traits
        if kind not in traits["for"]:
            findings.add(place, f"'{use.name}' belongs to {' and '.join(traits['for'])} evaluations, not to {kind}")
        if traits.get("mixture") and not _has_modes(findings, data):
            findings.add(place, f"'{use.name}' needs data whose modes are known (grid25 or ring8)")
        features = checked.options.get("features")
        where = (*place, use.name, "features")
        if features is not None and findings.known("models", features, where):
            block = findings.raw["models"][features]
            if isinstance(block, Mapping) and block.get("kind") not in (None, "classifier"):
                findings.add(where, f"features come from a classifier; '{features}' is a {block['kind']}")
    return resolved


def _has_modes(findings: Findings, data: str | None) -> bool:
    """Whether a data set's source is a mixture; True where the data set itself is already a mistake."""
    section = findings.raw.get("data")
    block = section.get(data) if isinstance(section, Mapping) else None
    if not isinstance(block, Mapping) or not isinstance(block.get("source"), str):
        return True
    return block["source"] in DATA and "mixture" in DATA[block["source"]].traits


def _check_epsilons(findings: Findings, values: list[float], path: Path) -> None:
    """No two numbers of an axis have the same label in row ids."""
    labels: dict[str, float] = {}
    for index, value in enumerate(values):
        label = names.number(value)
        if label in labels:
            findings.add((*path, index), f"{labels[label]!r} and {value!r} both read '{label}' in row ids; keep one")
        labels[label] = value
