"""The JSON schema that editors get, and the same facts in words."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from bench.attacks.options import Latent, Pgd
from bench.data.catalogue import Npz
from bench.suite.json_schema import suite_schema
from bench.suite.reference import CATALOGUES, option_lines
from bench.suite.yaml_source import parse
from bench.training.options import Adversarial

SUITES = Path(__file__).parents[2] / "suites"


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = suite_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize("file", sorted(SUITES.glob("*.yaml")), ids=lambda file: file.stem)
def test_the_shipped_suites_fit(validator: Draft202012Validator, file: Path) -> None:
    assert [error.message for error in validator.iter_errors(parse(file.read_text(), file.name).value)] == []


def test_a_suite_of_every_part_fits(validator: Draft202012Validator, valid: str) -> None:
    assert [error.message for error in validator.iter_errors(parse(valid, "s.yaml").value)] == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("suite: example", "suite: two words"),
        ("seed: 3", "seed: -1"),
        ("seed: 3", "sed: 3"),
        ("source: mnist", "source: mnits"),
        ("take: 40", "take: 0"),
        ("split: test", "split: valid"),
        ("path: mine.npz, ", ""),
        ("size: [8, 8]", "size: [8]"),
        ("kind: classifier, arch: softmax", "kind: gan, arch: softmax"),
        ("arch: softmax", "arch: vae"),
        ("arch: softmax", 'arch: softmax, load: "a:b"'),
        ("recipe: standard", "recipe: autoencoding"),
        ("epsilon: 8/255, norm", "norm"),
        ("epsilon: 8/255, norm", "epsilon: 8/x, norm"),
        ("epochs: 1}", "epochs: 1, steps: 3}"),
        (", train: {recipe: standard, data: train-digits, epochs: 1}", ""),
        ("samples: drawn.npz", "args: {}"),
        ("mypackage.models:build", "mypackage.models.build"),
        ("kind: robustness", "kind: whitebox"),
        ("kind: robustness", "kind: generation"),
        ("[softmax, wide, mine]", "[]"),
        ("norm: linf", "norm: l0"),
        ("[0.1, 8/255]", "[0.1, -1]"),
        ("[0.1, 8/255]", "[]"),
        ("[fgsm,", "[fgms,"),
        ("[fgsm,", "[latent,"),
        ("steps: 4", "step: 4"),
        ("step_size: 1e-3", "step_size: 0"),
        ("as: pgd-4", "as: pgd/4"),
        ("{pgd: {steps: 4, step_size: 1e-3}, as: pgd-4}", "{pgd: {}, fgsm: {}}"),
        ("metrics: [modes, frechet]", "metrics: [confidence]"),
        ("timeout: 10m", "timeout: soon"),
        ("  pictures: {kind", "  real-data: {kind"),
        (", min: 0.1, max: 1", ""),
        ("value: 17.3", "value: many"),
    ],
)
def test_wrong_suites_do_not_fit(
    validator: Draft202012Validator, valid: str, mistakes: Callable[..., list[str]], old: str, new: str
) -> None:
    text = valid.replace(old, new, 1)
    assert text != valid
    assert mistakes(text), "the checker itself lets this pass"
    assert not validator.is_valid(parse(text, "s.yaml").value)


def test_every_option_of_every_catalogue_is_in_the_schema() -> None:
    def properties(node: Any) -> set[str]:
        if isinstance(node, list):
            return set().union(*map(properties, node))
        if not isinstance(node, dict):
            return set()
        own = set(node.get("properties", {}))
        return own.union(*map(properties, node.values()))

    known = properties(suite_schema())
    for catalogue in CATALOGUES.values():
        for entry in catalogue.values():
            assert set(entry.options.model_fields) <= known


def test_every_property_says_what_it_is_for() -> None:
    def undescribed(node: Any, path: str) -> list[str]:
        if isinstance(node, list):
            return [item for index, entry in enumerate(node) for item in undescribed(entry, f"{path}.{index}")]
        if not isinstance(node, dict):
            return []
        found = [
            f"{path}.{key}"
            for key, value in node.get("properties", {}).items()
            if "default" in value and "description" not in value
        ]
        return found + [item for key, value in node.items() for item in undescribed(value, f"{path}.{key}")]

    assert undescribed(suite_schema(), "") == []


def test_the_schema_is_made_anew_each_time() -> None:
    first = suite_schema()
    before = copy.deepcopy(first)
    first["properties"].clear()
    assert suite_schema() == before


def test_options_in_words() -> None:
    assert option_lines(Adversarial)[:6] == [
        "epochs: whole number of at least 1, default 3: passes over the training data",
        "batch_size: whole number of at least 1, default 100: samples a step",
        "learning_rate: number above 0, default 0.001: Adam's first rate; it falls to 0 along a half cosine",
        "norm: linf or l2, default linf: norm of the ball",
        "epsilon: number above 0, required: radius of the ball, data units",
        "steps: whole number of at least 1, default 10: gradient steps a batch; 1 is FGSM training from a random start",
    ]
    lines = {line.partition(":")[0]: line for line in option_lines(Pgd)}
    assert lines["step_size"].startswith("step_size: number above 0 or null, default null: ")
    assert lines["keep_going"].startswith("keep_going: true or false, default false: ")
    assert option_lines(Latent)[0].startswith("trade_off: non-empty list of numbers")
    (words,) = [line for line in option_lines(Npz) if line.startswith("range")]
    assert words.startswith("range: list of 2 numbers, default [0, 1]: ")
