"""What ships with the package: the zoo has all that the shipped suites need, and their expected figures are met."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import safetensors.numpy

import bench
from bench.models import zoo
from bench.planning import Options, forecast
from bench.suite.check import read
from bench.zoo_builder import FOR_A_GPU, build, trained_live

SUITES = sorted((Path(__file__).parents[1] / "suites").glob("*.yaml"))


@pytest.mark.parametrize("suite", SUITES, ids=lambda path: path.stem)
def test_no_recipe_of_a_shipped_suite_misses_the_zoo(suite: Path, tmp_path: Path) -> None:
    _, jobs = forecast(read(suite), Options(store=tmp_path, device="cpu"))
    training = {line.job.id: line.origin for line in jobs if line.job.kind == "train"}
    assert training
    if suite.stem in FOR_A_GPU:
        assert set(training.values()) != {"zoo"}, "then it is not left out any more"
        return
    live = {job for job in training if trained_live(suite.stem, job.split("/")[1])}
    assert "zoo" not in {training[job] for job in live}
    assert {training[job] for job in training if job not in live} == {"zoo"}, "run `make zoo` and commit what it makes"


def test_the_zoos_files_are_those_of_its_index() -> None:
    listed = {entry["file"] for entry in zoo.index().values()}
    assert listed == {path.name for path in zoo.FOLDER.glob("*.safetensors")}
    for entry in zoo.index().values():
        content = (zoo.FOLDER / entry["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == entry["sha256"]
        assert safetensors.numpy.load(content), "the files can be read without this package"


@pytest.mark.parametrize("rows", ["fgsm-paper/*", "whitebox/cnn-pgd/*", "grid/real-data/*"])
def test_the_expected_figures_are_met(rows: str, tmp_path: Path) -> None:
    """Softmax under FGSM 0.25: error of at least 99 %; the PGD-trained CNN at 0.3: at least 85 %; 25 real modes."""
    suite = Path(__file__).parents[1] / "suites" / "robustness.yaml"
    done = bench.run(suite, out=tmp_path / "out", store=tmp_path / "store", device="cpu", only=rows)
    assert [finding.verdict for finding in done.findings].count("met") == 1
    assert done.exit_code == 0


def test_the_zoo_builder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(
        "suite: tiny\n"
        "data: {train: {source: mnist, split: train, take: 200}}\n"
        "models:\n"
        "  a: {kind: classifier, arch: softmax, trials: 2, train: {recipe: standard, data: train, epochs: 1}}\n"
        "  b: {kind: classifier, arch: softmax, train: {recipe: standard, data: train, epochs: 1}}\n"
    )
    folder = tmp_path / "zoo"
    folder.mkdir()
    (folder / "old-0-00000000.safetensors").write_bytes(b"")
    made = build(["tiny.yaml"], store=tmp_path / "store", folder=folder)
    assert len(made) == 2, "a and b have the same recipe"
    assert {path.name for path in folder.glob("*.safetensors")} == set(made.values())
    assert set(json.loads((folder / "index.json").read_text())) == set(made)
