"""Checks of the `evaluations` section: names, kinds and options beyond what a block's own schema says."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from bench.attacks.catalogue import ATTACKS
from bench.catalogue import Catalogue
from bench.data.catalogue import DATA
from bench.metrics.catalogue import FEWEST_LOOKS, METRICS, POINTS_OF_A_LOOK
from bench.suite import names, schema
from bench.suite.findings import Findings
from bench.suite.messages import a, nearest, quote, show
from bench.suite.yaml_source import Path
from bench.training.catalogue import RECIPES

_KINDS = get_args(schema.Model.model_fields["kind"].annotation)
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
    if not isinstance(kind, str) or kind not in schema.EVALUATIONS:
        message = f"expected `kind:` with one of {', '.join(schema.EVALUATIONS)}"
        if kind is not None:
            message += f", found {show(kind)}{nearest(kind, schema.EVALUATIONS) if isinstance(kind, str) else ''}"
        findings.add(path if kind is None else (*path, "kind"), message)
        return None
    before = findings.count
    model = schema.EVALUATIONS[kind]
    whole = findings.block(model, value, path)
    block = whole or findings.partial(model, value)
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
        changes["metrics"] = _check_metrics(findings, kind, block, (*path, "metrics"))
    if threat is not None:
        _check_numbers(findings, threat.epsilon, (*path, "threat", "epsilon"))
    return None if whole is None or findings.count > before else whole.model_copy(update=changes)


def _check_models(findings: Findings, kind: str, listed: Sequence[str | None], path: Path) -> None:
    """The models of an axis exist, once each, and are of the kind the evaluation needs."""
    findings.unique(listed, path, "model")
    for index, name in enumerate(listed):
        if name is None or not findings.known("models", name, (*path, index)):
            continue
        block = findings.raw["models"][name]
        found = _kind(block)
        arch = block.get("arch") if isinstance(block, Mapping) else None
        draws = kind == "generation" and (arch == "vae" or (isinstance(arch, Mapping) and "vae" in arch))
        if found not in (None, _NEEDS[kind]) and not draws:
            use = f", which only metrics can name (`features: {name}`)" if found == "features" else ""
            findings.add((*path, index), f"a {kind} evaluation needs {a(_NEEDS[kind])}; '{name}' is {a(found)}{use}")


def _kind(block: Any) -> Any:
    """The kind of a model as written; None where that is already a mistake."""
    kind = block.get("kind") if isinstance(block, Mapping) else None
    return kind if kind in _KINDS else None


def _components(
    findings: Findings, catalogue: Catalogue, kind: str, uses: Sequence[schema.Use | None], path: Path
) -> list[tuple[Path, schema.Use]]:
    """The uses of an axis with all their options, each with its place; their labels are fit for row ids, once each."""
    findings.unique([None if use is None else use.label for use in uses], path, catalogue.noun)
    resolved = []
    for index, use in enumerate(uses):
        if use is None:
            continue
        place = (*path, index)
        if use.imported and not re.fullmatch(schema.NAME, use.label):
            findings.add(place, f"{quote(use.label)} cannot be part of a row id; give it another name with `as:`")
        findings.short(use.label, place)
        defaults = {}
        if kind == "transfer" and use.name in catalogue:
            defaults = catalogue[use.name].traits.get("transfer", {})
        checked = findings.component(catalogue, use, place, defaults)
        if checked is not None:
            resolved.append((place, checked))
    return resolved


def _check_attacks(
    findings: Findings, kind: str, uses: Sequence[schema.Use | None], norm: str | None, path: Path
) -> list[schema.Use]:
    """The attacks of an evaluation, each fit for its kind and norm."""
    resolved = _components(findings, ATTACKS, kind, uses, path)
    for place, use in resolved:
        if use.label in names.RESERVED:
            findings.add(place, f"'{use.label}' is the name of a row of its own; choose another with `as:`")
        if not use.imported:
            traits = ATTACKS[use.name].traits
            if traits["against"] != _NEEDS[kind]:
                message = f"'{use.name}' attacks {a(traits['against'])}; a {kind} evaluation has {_NEEDS[kind]}s"
                findings.add(place, message)
            elif norm is not None and norm not in traits["norms"]:
                findings.add(place, f"'{use.name}' works under {' and '.join(traits['norms'])}, not under {norm}")
        if kind == "reconstruction" and "trade_off" in use.options:
            weights, where = use.options["trade_off"], (*place, use.name, "trade_off")
            listed = weights if isinstance(weights, list) else [weights]
            if listed and all(isinstance(value, int | float) and not isinstance(value, bool) for value in listed):
                _check_numbers(findings, listed, where)
            else:
                findings.add(where, f"expected a number or a list of numbers, found {show(weights)}")
    return [use for _, use in resolved]


def _check_metrics(findings: Findings, kind: str, block: Any, path: Path) -> list[schema.Use]:
    """The metrics of an evaluation, each fit for its kind, data and models, and no two giving the same row."""
    resolved = _components(findings, METRICS, kind, block.metrics, path)
    rows: dict[str, str] = {}
    for place, use in resolved:
        for row in names.metric_rows(use):
            if rows.setdefault(row, use.label) != use.label:
                findings.add(place, f"'{rows[row]}' and '{use.label}' both give the row '{row}'; keep one of them")
                break
        if use.imported:
            continue
        traits = METRICS[use.name].traits
        if kind not in traits["for"]:
            findings.add(place, f"'{use.name}' belongs to {' and '.join(traits['for'])} evaluations, not to {kind}")
        if traits.get("mixture") and not _has_modes(findings, getattr(block, "data", None)):
            known = ", ".join(entry.name for entry in DATA.values() if "mixture" in entry.traits)
            findings.add(place, f"'{use.name}' needs data whose modes are known ({known})")
        if names.needs_looks(use):
            _check_looks(findings, use.name, getattr(block, "models", []), place)
        _check_least(findings, use, getattr(block, "samples", None), (*place, use.name, "least"))
        option = names.network_option(use)
        network = use.options.get(option)
        where = (*place, use.name, option)
        if network is not None and findings.known("models", network, where):
            found = _kind(findings.raw["models"][network])
            fit = ("classifier", "features") if option == "features" else ("classifier",)
            if found not in (None, *fit):
                wanted = " or ".join(map(a, fit))
                verb = "features come from" if option == "features" else "expected"
                findings.add(where, f"{verb} {wanted}; '{network}' is {a(found)}")
    return [use for _, use in resolved]


def _check_least(findings: Findings, use: schema.Use, samples: int | None, path: Path) -> None:
    """A mode does not need more points to count than there are."""
    least = use.options.get("least", 0)
    if names.needs_looks(use):
        if least > POINTS_OF_A_LOOK:
            found = f"a look keeps {POINTS_OF_A_LOOK:,}, so that none could; lower `least`"
            findings.add(path, f"a mode needs {least:,} points to count, and {found}")
    elif samples is not None and least > samples:
        found = f"the evaluation draws {samples:,}, so that none could; lower `least` or raise `samples`"
        findings.add(path, f"a mode needs {least:,} points to count, and {found}")


def _check_looks(findings: Findings, metric: str, models: Sequence[str | None], path: Path) -> None:
    """Every model keeps enough of its training for a metric of that."""
    section = findings.raw.get("models")
    for name in models:
        block = section.get(name) if isinstance(section, Mapping) else None
        training = block.get("train") if isinstance(block, Mapping) else None
        if not isinstance(block, Mapping) or not isinstance(training, Mapping | None):
            continue  # a mistake of its own already
        follows = f"'{metric}' follows what a model draws while it is trained"
        if training is None:
            instead = f"leave '{name}' out of this evaluation, or train it by a recipe with `looks`, such as packed-gan"
            findings.add(path, f"{follows}, and '{name}' is not trained here; {instead}")
            continue
        recipe, looks = training.get("recipe"), training.get("looks", 0)
        if not isinstance(recipe, str) or recipe not in RECIPES:
            continue
        if "looks" not in RECIPES[recipe].options.model_fields:
            findings.add(path, f"{follows}; '{recipe}', which trains '{name}', keeps no looks; packed-gan can")
            continue
        made = training.get("iterations", FEWEST_LOOKS)
        if type(made) is int and 0 < made < FEWEST_LOOKS:
            findings.add(path, f"{follows}, and '{name}' makes {made} iterations; give it more")
        elif type(looks) is int and 0 <= looks < FEWEST_LOOKS:
            wanted = f"set `looks` in its `train:` to at least {FEWEST_LOOKS}, such as `looks: 40`"
            findings.add(path, f"{follows}, and '{name}' keeps {looks} looks; {wanted}")


def _has_modes(findings: Findings, data: str | None) -> bool:
    """Whether a data set's source is a mixture; True where the data set itself is already a mistake."""
    section = findings.raw.get("data")
    block = section.get(data) if isinstance(section, Mapping) else None
    if not isinstance(block, Mapping) or not isinstance(block.get("source"), str):
        return True
    return block["source"] in DATA and "mixture" in DATA[block["source"]].traits


def _check_numbers(findings: Findings, values: Sequence[float], path: Path) -> None:
    """No two numbers of an axis have the same label in row ids."""
    labels: dict[str, float] = {}
    for index, value in enumerate(values):
        label = names.number(value)
        if label in labels:
            findings.add((*path, index), f"{labels[label]!r} and {value!r} both read '{label}' in row ids; keep one")
        labels[label] = value
