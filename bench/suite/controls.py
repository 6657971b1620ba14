"""Controls of packed GANs: one line of a suite that stands for further models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.data import count
from bench.data.catalogue import DATA
from bench.errors import BenchError, DataError
from bench.suite.findings import Findings
from bench.suite.messages import quote
from bench.suite.schema import AnyEvaluation, Generation
from bench.suite.spec import DataSpec, ModelSpec
from bench.suite.yaml_source import Path
from bench.training.controls import RANKS, SIZES, controlled


def with_controls(
    findings: Findings,
    data: Mapping[str, DataSpec],
    models: Mapping[str, ModelSpec],
    evaluations: Mapping[str, AnyEvaluation],
) -> tuple[dict[str, ModelSpec], dict[str, AnyEvaluation]]:
    """Models and evaluations with the controls that models ask for, each after the model it belongs to."""
    derived = {name: _controls(findings, data, model) for name, model in models.items() if model.block.controls}
    whole: dict[str, ModelSpec] = {}
    for name, model in models.items():
        whole[name] = model
        for control in derived.get(name, ()):
            if control.name in models:
                message = f"the control of this model would be called {quote(control.name)}, which is another model"
                findings.add(("models", name, "controls"), f"{message}; rename that one")
            whole.setdefault(control.name, control)
    return whole, {
        name: block.model_copy(update={"models": _widened(block.models, derived)})
        if isinstance(block, Generation)
        else block
        for name, block in evaluations.items()
    }


def _widened(listed: Sequence[str], derived: Mapping[str, Sequence[ModelSpec]]) -> list[str]:
    """The models of an evaluation and their controls."""
    return [each for name in listed for each in (name, *(control.name for control in derived.get(name, ())))]


def _controls(findings: Findings, data: Mapping[str, DataSpec], model: ModelSpec) -> list[ModelSpec]:
    """The controls of a model; none when they cannot be made."""
    path: Path = ("models", model.name, "controls")
    findings.unique(model.block.controls, path, "control")
    recipe = model.recipe
    if recipe is None or recipe.name not in SIZES:
        found = "it is not trained here" if recipe is None else f"its recipe is {quote(recipe.name)}"
        findings.add(path, f"controls are of models of the recipes {' and '.join(SIZES)}; {found}")
        return []
    trained_on = data.get(model.train_data or "")
    if trained_on is None:
        return []
    source = trained_on.source
    shape = DATA[source].traits.get("shape") if source in DATA else None
    if shape is None:
        message = f"the shape of a sample of data source {quote(source)} is not known before it is read"
        findings.add(path, f"{message}; write the controls as models of their own")
        return []
    if len(shape) != RANKS[recipe.name]:
        wanted = "images" if RANKS[recipe.name] == 3 else "points"
        findings.add(
            path, f"{quote(recipe.name)} is a recipe of {wanted}; a sample of {quote(source)} has shape {shape}"
        )
        return []
    made = []
    for index, control in enumerate(model.block.controls):
        name = f"{model.name}-{control}"
        findings.short(name, (*path, index))
        try:
            options = controlled(control, recipe.name, recipe.options, shape)
        except BenchError as error:
            findings.add(path, str(error))
            break
        if control == "larger-minibatch" and not options.get("fresh"):
            _check_batch(findings, trained_on, recipe.options, (*path, index))
        block = model.block.model_copy(update={"controls": []})
        made.append(ModelSpec(name, block, recipe.model_copy(update={"options": options}), model.train_data))
    return made


def _check_batch(findings: Findings, data: DataSpec, options: Mapping[str, Any], path: Path) -> None:
    """The larger minibatch is no larger than the data, of which a step takes different samples."""
    packing, packs = options["packing"], options["batch_size"]
    try:
        samples = count(data.source, data.options)
    except DataError:
        return  # the run says what is missing
    if 0 < samples < packing * packs:
        found = f"takes {packing} x {packs} = {packing * packs:,} samples a step, more than the {samples:,} of data"
        instead = "lower `batch_size` in `train:`, give the model more data, or leave this control out"
        findings.add(path, f"'larger-minibatch' {found} {quote(data.name)}; {instead}")
