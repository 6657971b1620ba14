"""Networks of features in a suite: what may name them, and what is said where something else does."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from jsonschema import Draft202012Validator

from bench.suite.check import check
from bench.suite.inputs import Inputs
from bench.suite.json_schema import suite_schema
from bench.suite.plan import make_plan
from bench.suite.yaml_source import parse

SuiteOf = Callable[[str], str]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", ""),
        ("{inception-fid: {tap: 64, resize: tensorflow}}", "inception-fid"),
        ("tensorflow}}}", "tensorflow}}, weights: own.safetensors}"),
    ],
)
def test_it_is_a_suite(mistakes: Callable[..., list[str]], features_suite: SuiteOf, old: str, new: str) -> None:
    text = features_suite("inception").replace(old, new)
    assert new in text
    assert mistakes(text) == []
    validator = Draft202012Validator(suite_schema())
    assert [error.message for error in validator.iter_errors(parse(text, "s.yaml").value)] == []


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("[drawn]", "[inception]",
         "11:14: evaluations.gen.models.0: a generation evaluation needs a generator; 'inception' is a network of "
         "features, which only metrics can name (`features: inception`)"),
        ("{frechet: {features: inception}, as: fid}", "{inception_score: {classifier: inception}}",
         "15:40: evaluations.gen.metrics.0.inception_score.classifier: expected a classifier; 'inception' is a network "
         "of features"),
        ("{features: inception}", "{features: drawn}",
         "15:30: evaluations.gen.metrics.0.frechet.features: features come from a classifier or a network of features; "
         "'drawn' is a generator"),
        ("kind: features, arch:", "kind: classifier, arch:",
         "5:39: models.inception.arch: 'inception-fid' is a network of features, but `kind` says classifier"),
        ("tap: 64", "tap: 65",
         "5:59: models.inception.arch.inception-fid.tap: expected 64, 192, 768 or 2048, found 65"),
        ("resize: tensorflow", "resize: bicubic",
         "5:71: models.inception.arch.inception-fid.resize: expected 'bilinear', 'bilinear-antialias' or 'tensorflow', "
         "found 'bicubic'"),
        ("tensorflow}}}", "tensorflow}}, train: {recipe: standard, data: digits}}",
         "5:101: models.inception.train.recipe: 'standard' trains a classifier, but `kind` says features"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(
    mistakes: Callable[..., list[str]], features_suite: SuiteOf, old: str, new: str, sentence: str
) -> None:
    text = features_suite("inception").replace(old, new, 1)
    assert new in text
    assert mistakes(text) == [f"s.yaml:{sentence}"]


def test_the_weights_in_a_package_name_the_network(features_suite: SuiteOf) -> None:
    def identities(digest: str) -> list[object]:
        inputs = Inputs(
            check(features_suite("inception"), "s.yaml"),
            file_digest=lambda _: digest,
            materialised={},
            failures={},
        )
        jobs = make_plan(inputs, device="cpu").jobs.values()
        return [job.identity["network"] for job in jobs if job.id.endswith("/fid")]

    first, second = identities("one"), identities("two")
    assert len(first) == 2, "a generator and real data"
    assert first[0]["weights"] == "one"  # type: ignore[index]
    assert first != second
