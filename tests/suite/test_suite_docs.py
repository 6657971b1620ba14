"""docs/suites.md: made from the schema, and true."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import bench
from bench.suite.check import check
from bench.suite.docs import page
from bench.suite.json_schema import suite_schema
from bench.suite.reference import CATALOGUES
from bench.suite.yaml_source import parse

PAGE = Path(__file__).parents[2] / "docs" / "suites.md"

BASE = """\
suite: base
data:
  mnist: {source: mnist}
  train: {source: mnist, split: train}
  grid: {source: grid25}
models:
  cnn: {kind: classifier, arch: cnn-small, train: {recipe: standard, data: mnist}}
  gan: {kind: generator, samples: gan.npz}
evaluations:
  whitebox:
    {kind: robustness, models: [cnn], data: mnist, threat: {norm: linf, epsilon: 0.1}, attacks: [fgsm]}
  modes: {kind: generation, models: [gan], data: grid, metrics: [modes]}
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_the_page_is_made_from_the_schema() -> None:
    made = page()
    assert PAGE.read_text(encoding="utf-8") == made, "run: python -m bench.suite.docs > docs/suites.md"


def test_every_key_and_entry_is_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for catalogue in CATALOGUES.values():
        for entry in catalogue.values():
            assert f"#### `{entry.name}`" in text
            assert entry.source in text
            for option in entry.options.model_fields:
                assert f"| `{option}` |" in text
    for key in suite_schema()["properties"]:
        assert f"| `{key}` |" in text


@pytest.mark.parametrize("example", blocks("yaml"), ids=lambda text: text.split("\n", 1)[0])
def test_every_example_is_a_suite_or_a_part_of_one(example: str) -> None:
    read = parse(example, "example").value
    base = parse(BASE, "base").value
    if "suite" not in read:
        for section, content in read.items():
            base[section] = {**base.get(section, {}), **content} if isinstance(content, dict) else content
        read = base
    assert check(yaml.safe_dump(read), "example").warnings == ()


def test_there_are_examples() -> None:
    assert len(blocks("yaml")) >= 5
    assert len(blocks("python")) == 1


def test_the_assignments_on_the_page_can_be_made() -> None:
    text = PAGE.read_text(encoding="utf-8")
    lines = re.findall(r"^    bench run (\S+) (--set .*)$", text, re.MULTILINE)
    assert len(lines) == 2
    for file, words in lines:
        assignments = re.findall(r"--set (?:'([^']+)'|(\S+))", words)
        suite = (PAGE.parents[1] / file).read_text()
        check(suite, file, [quoted or plain for quoted, plain in assignments])


def test_code_of_ones_own_works_as_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = [text for text in blocks("yaml") if text.startswith("suite: mine")]
    (tmp_path / "mine.py").write_text(blocks("python")[0])
    (tmp_path / "mine.yaml").write_text(example)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    run: Any = bench.run("mine.yaml", store=tmp_path / "store", out=tmp_path / "out", executor="inline", device="cpu")
    assert [f"{row.row}: {row.message}" for row in run.rows if row.status != "ok"] == []
    assert run.exit_code == 0
    values = {row.row: row.value for row in run.rows}
    # the nearest corner moves the first input by epsilon towards the boundary: what FGSM does as well
    fgsm, corners = (values[f"corners/linear/{name}/linf-0.1/robust_accuracy"] for name in ("fgsm", "corners-8"))
    assert 0.5 < fgsm <= corners < 1.0
    assert values["corners/linear/corners-8/linf-0.1/lost_confidence"] > 0
    assert values["circle/circle/ring/modes"] == 8
    assert "mine" not in sys.modules, "a run in this process leaves its modules as they were"
