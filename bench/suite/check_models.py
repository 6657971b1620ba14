"""Checks of the `data` and `models` sections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.catalogue import Options, is_import_name
from bench.data.catalogue import DATA, DataOptions, Imported
from bench.defenses.catalogue import DEFENSES
from bench.models.catalogue import MODELS
from bench.models.packaged import PACKAGED
from bench.suite import schema
from bench.suite.findings import Findings
from bench.suite.messages import a, near, quote, show
from bench.suite.spec import DataSpec, ModelSpec
from bench.suite.yaml_source import Path
from bench.training.catalogue import RECIPES

_WHERE_FROM = ("arch", "load", "samples")


def check_data(findings: Findings, name: str, block: Mapping[str, Any]) -> DataSpec | None:
    """One data set; None when it has mistakes."""
    path: Path = ("data", name)
    source = block.get("source")
    if not isinstance(source, str):
        message = f"expected `source:` with one of {', '.join(DATA)} or package.module:callable"
        if source is not None:
            message += f", found {show(source)}"
        findings.add(path if source is None else (*path, "source"), message)
        return None
    if source not in DATA and not is_import_name(source):
        findings.add((*path, "source"), f"unknown data source {quote(source)}{near(source, DATA)}")
        return None
    before = findings.count
    model: type[Options] = Imported if is_import_name(source) else DATA[source].options
    options = findings.block(model, {key: value for key, value in block.items() if key != "source"}, path)
    if not isinstance(options, DataOptions):
        return None
    for key in ("path", "root"):
        _check_path(findings, getattr(options, key, None), (*path, key))
    return DataSpec(name, source, options) if findings.count == before else None


def check_model(findings: Findings, name: str, value: Mapping[str, Any]) -> ModelSpec | None:
    """One model, resolved; None when it has mistakes."""
    path: Path = ("models", name)
    before = findings.count
    whole = findings.block(schema.Model, value, path)
    block = whole or findings.partial(schema.Model, value)
    kind = getattr(block, "kind", None)
    _check_keys(findings, value, kind, path)
    if isinstance(value.get("load"), str) and not is_import_name(value["load"]):
        findings.add((*path, "load"), f"expected package.module:callable, found {show(value['load'])}")
    for key in ("weights", "samples"):
        _check_path(findings, value.get(key), (*path, key))
    arch: schema.Use | None = getattr(block, "arch", None)
    if arch is not None:
        arch = findings.component(MODELS, arch, (*path, "arch"))
        if arch is not None and not arch.imported and kind not in (None, MODELS[arch.name].traits["kind"]):
            message = f"'{arch.name}' is {a(MODELS[arch.name].traits['kind'])}, but `kind` says {kind}"
            findings.add((*path, "arch"), message)
    defenses = _check_defenses(findings, getattr(block, "defenses", []), kind, (*path, "defenses"))
    recipe, train_data = None, None
    if getattr(block, "train", None) is not None:
        recipe, train_data = _check_training(findings, block.train or {}, kind, (*path, "train"))
    if whole is None or findings.count > before:
        return None
    return ModelSpec(name, whole.model_copy(update={"arch": arch, "defenses": defenses}), recipe, train_data)


def _check_keys(findings: Findings, value: Mapping[str, Any], kind: str | None, path: Path) -> None:
    """Which keys of a model go together."""
    given = [key for key in _WHERE_FROM if value.get(key) is not None]
    trained, weighted = value.get("train") is not None, value.get("weights") is not None
    if len(given) != 1:
        found = " and ".join(f"`{key}`" for key in given) or "none of them"
        findings.add(path, f"expected one of `arch`, `load` and `samples`, found {found}")
    if "samples" in given and kind not in (None, "generator"):
        findings.add((*path, "samples"), f"only a generator can be given by its samples; this is {a(kind)}")
    if value.get("args") and given and "load" not in given:
        findings.add((*path, "args"), "`args` are for `load`; options of an architecture go inside `arch`", at_key=True)
    if trained and weighted:
        findings.add((*path, "weights"), "expected either `train` or `weights`, found both", at_key=True)
    if given == ["arch"] and not trained and not weighted and not _packaged(value["arch"]):
        findings.add(path, "an architecture of ours needs `train:` or `weights:`, found neither")
    if given == ["samples"] and (trained or weighted):
        findings.add(path, "a generator given by its samples takes neither `train` nor `weights`")
    trials = value.get("trials", 1)
    if isinstance(trials, int) and trials > 1 and not trained:
        findings.add((*path, "trials"), "only a model that is trained here can have more than one trial")


def _check_defenses(
    findings: Findings, uses: Sequence[schema.Use | None], kind: str | None, path: Path
) -> list[schema.Use]:
    """What is put around a model, with all options; without what has mistakes."""
    if uses and kind not in (None, "classifier"):
        findings.add(path, f"only a classifier can have defenses; this is {a(kind)}", at_key=True)
    found = [findings.component(DEFENSES, use, (*path, place)) for place, use in enumerate(uses) if use is not None]
    return [use for use in found if use is not None]


def _packaged(arch: object) -> bool:
    """Whether the weights of an architecture, as written, are found without being named."""
    written = [arch] if isinstance(arch, str) else arch if isinstance(arch, Mapping) else []
    return any(name in PACKAGED for name in written)


def _check_training(
    findings: Findings, value: Mapping[str, Any], kind: str | None, path: Path
) -> tuple[schema.Use | None, str | None]:
    """A model's recipe and the data set it trains on; None for what has mistakes."""
    common = {key: value[key] for key in ("recipe", "data") if key in value}
    training = findings.block(schema.Training, common, path) or findings.partial(schema.Training, common)
    recipe, data = getattr(training, "recipe", None), getattr(training, "data", None)
    if data is not None:
        findings.known("data", data, (*path, "data"))
    if recipe is None:
        return None, data
    if recipe not in RECIPES:
        findings.add((*path, "recipe"), f"unknown recipe {quote(recipe)}{near(recipe, RECIPES)}")
        return None, data
    entry = RECIPES[recipe]
    if kind not in (None, entry.traits["kind"]):
        findings.add((*path, "recipe"), f"'{entry.name}' trains {a(entry.traits['kind'])}, but `kind` says {kind}")
    rest = {key: item for key, item in value.items() if key not in common}
    options = findings.block(entry.options, rest, path)
    if options is None:
        return None, data
    use = schema.Use(name=entry.name, label=entry.name, options=options.model_dump(), version=entry.version)
    return use, data


def _check_path(findings: Findings, value: object, path: Path) -> None:
    """A path names something; an empty one would silently stand for the current folder."""
    if isinstance(value, str) and (not value or "\0" in value):
        findings.add(path, f"expected a path, found {show(value)}")
