from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.report.page import write_page
from bench.results.expectations import examine
from bench.results.row import Row
from bench.results.rows import make_rows
from bench.runner import Run, run
from bench.suite.check import check
from bench.suite.inputs import Inputs
from bench.suite.jobs import Plan
from bench.suite.plan import make_plan
from bench.suite.spec import Suite

SUITE = """
suite: paper-tiger
description: All kinds of evaluation, <b>none</b> of which has run & said anything.
data:
  mnist: {source: mnist, split: test, take: 20}
  grid: {source: grid25, samples: 100}
models:
  soft: {kind: classifier, arch: softmax, train: {recipe: standard, data: mnist, epochs: 1}}
  mlp: {kind: classifier, arch: mlp, train: {recipe: standard, data: mnist, epochs: 1}}
  ae: {kind: autoencoder, arch: vae, train: {recipe: autoencoding, data: mnist, epochs: 1}}
  gan: {kind: generator, arch: gan-grid, train: {recipe: packed-gan, data: grid, iterations: 5}}
evaluations:
  wb:
    {kind: robustness, models: [soft, mlp], data: mnist, threat: {norm: linf, epsilon: [0.1, 0.3]}, attacks: [fgsm]}
  tr:
    kind: transfer
    surrogates: [soft, mlp]
    victims: [soft, mlp]
    data: mnist
    threat: {norm: linf, epsilon: 0.1}
    attacks: [fgsm]
  re: {kind: reconstruction, models: [ae], data: mnist, attacks: [{latent: {trade_off: [0.1, 1], steps: 2}}], pairs: 2}
  gen: {kind: generation, models: [gan], data: grid, samples: 20, metrics: [modes]}
expect:
  - {row: wb/soft/worst-case/linf-0.3/robust_accuracy, min: 0.5}
quoted:
  - {row: wb/soft/worst-case/linf-0.3/robust_accuracy, value: 0.25, source: "Somebody 2015, <i>Table 1</i>"}
"""


TINY = """
suite: tiny
data:
  mnist: {source: mnist, split: test, take: 60}
  colour: {source: npz, path: FOLDER/colour.npz}
  table: {source: npz, path: FOLDER/table.npz}
  grid: {source: grid25, samples: 400}
models:
  soft: {kind: classifier, arch: softmax, train: {recipe: standard, data: mnist, epochs: 20}}
  colours: {kind: classifier, arch: {softmax: {shape: [3, 6, 4], classes: 2}}, train: {recipe: standard, data: colour}}
  tables: {kind: classifier, arch: {softmax: {shape: [7, 1, 1], classes: 2}}, train: {recipe: standard, data: table}}
  vae: {kind: autoencoder, arch: vae, train: {recipe: autoencoding, data: mnist, epochs: 1}}
  gan: {kind: generator, arch: gan-grid, trials: 2, train: {recipe: packed-gan, data: grid, iterations: 2}}
evaluations:
  wb:
    kind: robustness
    models: [soft]
    data: mnist
    threat: {norm: linf, epsilon: [0.01, 0.04]}
    attacks: [fgsm, {pgd: {steps: 2}}]
  rgb: {kind: robustness, models: [colours], data: colour, threat: {norm: l2, epsilon: 0.1}, attacks: [fgsm]}
  flat: {kind: robustness, models: [tables], data: table, threat: {norm: linf, epsilon: 0.1}, attacks: [fgsm]}
  re:
    kind: reconstruction
    models: [vae]
    data: mnist
    attacks: [{latent: {trade_off: [0.1, 1], steps: 3}}]
    pairs: 3
  points: {kind: generation, models: [gan], data: grid, samples: 150, metrics: [modes]}
  digits: {kind: generation, models: [vae], data: mnist, samples: 25, metrics: ["brightness:gap"]}
"""


class Paper:
    """A suite with its plan and rows, without anything having run."""

    def __init__(self, folder: Path, text: str = SUITE) -> None:
        self.folder = folder
        self.suite: Suite = check(text, "paper.yaml")
        inputs = Inputs(self.suite, file_digest=lambda _: "", materialised={}, failures={})
        self.plan: Plan = make_plan(inputs, device="cpu")
        self.rows: list[Row] = make_rows(self.suite, self.plan, {}).rows

    def write(self, rows: Sequence[Row] | None = None, **record: Any) -> Path:
        """Write the page of some rows, with what run.json says."""
        shown = self.rows if rows is None else rows
        page = self.folder / "report.html"
        write_page(page, self.suite, self.plan, {}, shown, examine(self.suite, self.rows), record)
        return page

    def changed(self, change: Callable[[int, Row], dict[str, Any]]) -> list[Row]:
        """The rows, each with what `change` says of it."""
        return [replace(row, **change(index, row)) for index, row in enumerate(self.rows)]


@pytest.fixture(scope="session")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Paper:
    return Paper(tmp_path_factory.mktemp("paper"))


@pytest.fixture
def paper_of(tmp_path: Path) -> Callable[[str], Paper]:
    """Makes the paper of another suite."""
    return lambda text: Paper(tmp_path, text)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of every kind of evaluation, on grey images, colour images, vectors and points."""
    folder = tmp_path_factory.mktemp("tiny")
    random = np.random.default_rng(0)
    labels = np.arange(40) % 2
    for name, shape in (("colour", (3, 6, 4)), ("table", (7, 1, 1))):
        x = (0.3 * random.random((40, *shape)) + 0.5 * labels.reshape(-1, 1, 1, 1)).astype(np.float32)
        np.savez(folder / f"{name}.npz", x=x, y=labels)
    (folder / "tiny.yaml").write_text(TINY.replace("FOLDER", str(folder)))
    (folder / "brightness.py").write_text("def gap(samples, real):\n    return samples.mean() - real.mean()\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        return run(folder / "tiny.yaml", out=folder / "out", store=folder / "store", executor="inline", device="cpu")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium that keeps what pages write to the console."""
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ModuleNotFoundError:
        pytest.fail("the tests of the page's script need selenium: pip install -e '.[dev]'")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.fail("the tests of the page's script need a browser: apt-get install -y chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (
        "headless=new", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
        "disable-component-update", "disable-sync", "disable-dev-shm-usage", "window-size=1300,900",
    ):  # fmt: skip
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    window = webdriver.Chrome(options=options, service=Service(driver))
    yield window
    window.quit()
