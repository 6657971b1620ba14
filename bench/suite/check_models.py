"""Checks of the `data` and `models` sections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.catalogue import Options, is_import_name
from bench.data.catalogue import DATA, DataOptions, Imported
from bench.errors import did_you_mean
from bench.models.catalogue import MODELS
from bench.suite import schema
from bench.suite.findings import Findings
from bench.suite.spec import DataSpec, ModelSpec
from bench.suite.yaml_source import Path
from bench.training.catalogue import RECIPES


def check_data(findings: Findings, name: str, block: Mapping[str, Any]) -> DataSpec | None:
    """One data set; None when it has mistakes."""
    path: Path = ("data", name)
    source = block.get("source")
    if not isinstance(source, str):
        message = f"expected `source:` with one of {', '.join(DATA)} or package.module:callable"
        findings.add(path if source is None else (*path, "source"), message)
        return None
    if source not in DATA and not is_import_name(source):
        findings.add((*path, "source"), f"unknown data source '{source}'{did_you_mean(source, DATA)}")
        return None
    model: type[Options] = Imported if is_import_name(source) else DATA[source].options
    options = findings.block(model, {key: value for key, value in block.items() if key != "source"}, path)
    return DataSpec(name, source, options) if isinstance(options, DataOptions) else None


def check_model(findings: Findings, name: str, value: Mapping[str, Any]) -> ModelSpec | None:
    """One model, resolved; None when it has mistakes."""
    path: Path = ("models", name)
    block = findings.block(schema.Model, value, path)
    if block is None:
        return None
    before = findings.count
    given = [key for key in ("arch", "load", "samples") if getattr(block, key) is not None]
    if len(given) != 1:
        found = " and ".join(f"`{key}`" for key in given) or "none of them"
        findings.add(path, f"expected one of `arch`, `load` and `samples`, found {found}")
        return None
    if block.samples and block.kind != "generator":
        findings.add((*path, "samples"), f"only a generator can be given by its samples; this is a {block.kind}")
    if block.load and not is_import_name(block.load):
        findings.add((*path, "load"), f"expected package.module:callable, found '{block.load}'")
    if block.args and not block.load:
        findings.add((*path, "args"), "`args` are for `load`; options of an architecture go inside `arch`", at_key=True)
    if block.train is not None and block.weights is not None:
        findings.add((*path, "weights"), "expected either `train` or `weights`, found both", at_key=True)
    if block.arch is not None and block.train is None and block.weights is None:
        findings.add(path, "an architecture of ours needs `train:` or `weights:`, found neither")
    if block.samples and (block.train or block.weights):
        findings.add(path, "a generator given by its samples takes neither `train` nor `weights`")
    if block.trials > 1 and block.train is None:
        findings.add((*path, "trials"), "only a model that is trained here can have more than one trial")
    arch = None if block.arch is None else findings.component(MODELS, block.arch, (*path, "arch"))
    if arch is not None and not arch.imported and MODELS[arch.name].traits["kind"] != block.kind:
        message = f"'{arch.name}' is a {MODELS[arch.name].traits['kind']}, but `kind` says {block.kind}"
        findings.add((*path, "arch"), message)
    recipe, train_data = _check_training(findings, block, (*path, "train")) if block.train is not None else (None, None)
    if findings.count > before:
        return None
    return ModelSpec(name, block.model_copy(update={"arch": arch}), recipe, train_data)


def _check_training(findings: Findings, block: schema.Model, path: Path) -> tuple[schema.Use | None, str | None]:
    value = block.train or {}
    common = {key: value[key] for key in ("recipe", "data") if key in value}
    training = findings.block(schema.Training, common, path)
    if training is None:
        return None, None
    findings.known("data", training.data, (*path, "data"))
    if training.recipe not in RECIPES:
        findings.add((*path, "recipe"), f"unknown recipe '{training.recipe}'{did_you_mean(training.recipe, RECIPES)}")
        return None, None
    entry = RECIPES[training.recipe]
    if entry.traits["kind"] != block.kind:
        findings.add((*path, "recipe"), f"'{entry.name}' trains a {entry.traits['kind']}, but `kind` says {block.kind}")
    rest = {key: item for key, item in value.items() if key not in common}
    options = findings.block(entry.options, rest, path)
    if options is None:
        return None, None
    use = schema.Use(name=entry.name, label=entry.name, options=options.model_dump(), version=entry.version)
    return use, training.data
