"""Rows are views: each figure can be had again from outcomes.csv, by other code."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bench
from bench.results import statistics
from bench.results.expectations import examine, exit_code
from bench.results.row import Row
from bench.runner import Run

SUITE = """
suite: rows
seed: 3
data:
  train: {source: mnist, split: train, take: 1500}
  test: {source: mnist, split: test, take: 600, skip: 5}
  ring: {source: ring8, samples: 2000}
models:
  softmax: {kind: classifier, arch: softmax, train: {recipe: standard, data: train, epochs: 1}}
  mlp: {kind: classifier, arch: {mlp: {hidden: [16]}}, trials: 3, train: {recipe: standard, data: train, epochs: 1}}
  vae: {kind: autoencoder, arch: {vae: {hidden: [16], latent: 4}},
    train: {recipe: autoencoding, data: train, epochs: 1}}
  gan: {kind: generator, arch: {gan-grid: {width: 16}}, trials: 2,
    train: {recipe: packed-gan, data: ring, iterations: 5}}
evaluations:
  white:
    kind: robustness
    models: [softmax, mlp]
    data: test
    threat: {norm: linf, epsilon: [0.1, 0.02, 0.01]}
    attacks: [fgsm, {pgd: {steps: 4}, as: pgd-4}]
    metrics: [robust_accuracy, success_rate, confidence]
  transfer:
    kind: transfer
    surrogates: [softmax, mlp]
    victims: [mlp]
    data: test
    threat: {norm: l2, epsilon: 1}
    attacks: [fgsm]
  rec:
    kind: reconstruction
    models: [vae]
    data: test
    attacks: [{latent: {trade_off: [0.01, 1], steps: 5}}]
    pairs: 6
  ring:
    kind: generation
    models: [gan]
    data: ring
    samples: 500
    metrics: [modes]
expect:
  - {row: white/softmax/clean/none/accuracy, min: 0.2, max: 0.99}
  - {row: ring/real-data/ring/modes, equals: 8}
  - {row: white/softmax/worst-case/linf-0.1/robust_accuracy, min: 0.999}
quoted:
  - {row: white/softmax/fgsm/linf-0.1/robust_accuracy, value: 0.25, plus_minus: 0.1, source: "nobody 1999"}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("rows")
    suite = folder / "rows.yaml"
    suite.write_text(SUITE)
    return bench.run(suite, out=folder / "out", store=folder / "store", device="cpu", executor="inline")


@pytest.fixture(scope="module")
def outcomes(run: Run) -> pd.DataFrame:
    return pd.read_csv(run.folder / "outcomes.csv")


def row(run: Run, name: str) -> Row:
    return next(row for row in run.rows if row.row == name)


def test_every_row_has_a_figure(run: Run) -> None:
    assert {row.status for row in run.rows} == {"ok"}
    board = pd.read_csv(io.StringIO((run.folder / "leaderboard.csv").read_text()))
    assert len(board) == len(run.rows) == len(run.leaderboard)
    assert list(board.columns) == list(run.leaderboard.columns)
    np.testing.assert_allclose(board.value, run.leaderboard.value, rtol=1e-8)


def test_robust_accuracy_is_the_share_of_unbroken_samples(run: Run, outcomes: pd.DataFrame) -> None:
    for attack in ("fgsm", "pgd-4"):
        for epsilon in ("0.1", "0.02"):
            here = outcomes[
                (outcomes.evaluation == "white") & (outcomes.model == "softmax")
                & (outcomes.attack == attack) & (outcomes.threat == f"linf-{epsilon}")
            ]  # fmt: skip
            assert len(here) == 600
            found = row(run, f"white/softmax/{attack}/linf-{epsilon}/robust_accuracy")
            assert found.value == pytest.approx(1 - here.broken.mean())
            assert (found.low, found.high) == statistics.wilson(int((~here.broken).sum()), 600)[1:]
            assert found.n == 600


def test_the_worst_case_is_the_minimum_over_attacks_for_each_sample(run: Run, outcomes: pd.DataFrame) -> None:
    for model in ("softmax", "mlp"):
        here = outcomes[(outcomes.evaluation == "white") & (outcomes.model == model) & (outcomes.threat == "linf-0.02")]
        survived = 1 - here.groupby(["trial", "sample"]).broken.max().groupby("trial").mean()
        found = row(run, f"white/{model}/worst-case/linf-0.02/robust_accuracy")
        assert found.value == pytest.approx(survived.mean())
        assert found.trials == len(survived)
        singles = [row(run, f"white/{model}/{attack}/linf-0.02/robust_accuracy").value for attack in ("fgsm", "pgd-4")]
        assert found.value <= min(singles)


def test_trials_are_averaged_and_their_spread_is_the_interval(run: Run, outcomes: pd.DataFrame) -> None:
    here = outcomes[(outcomes.evaluation == "white") & (outcomes.model == "mlp") & (outcomes.attack == "fgsm")]
    each = 1 - here[here.threat == "linf-0.02"].groupby("trial").broken.mean()
    found = row(run, "white/mlp/fgsm/linf-0.02/robust_accuracy")
    expected = statistics.mean(each)
    assert found.trials == 3
    assert found.value == pytest.approx(expected.value)
    assert found.low == pytest.approx(max(0.0, expected.low))
    assert found.high == pytest.approx(min(1.0, expected.high))


def test_success_counts_samples_that_all_models_get_right(run: Run, outcomes: pd.DataFrame) -> None:
    here = outcomes[(outcomes.evaluation == "white") & (outcomes.attack == "fgsm") & (outcomes.threat == "linf-0.1")]
    rates = []
    for trial in range(3):
        softmax = here[here.model == "softmax"].set_index("sample")
        mlp = here[(here.model == "mlp") & (here.trial == trial)].set_index("sample")
        common = softmax.correct & mlp.correct.reindex(softmax.index)
        rates.append(mlp.broken.reindex(softmax.index)[common].mean())
    assert row(run, "white/mlp/fgsm/linf-0.1/success_rate").value == pytest.approx(np.mean(rates))


def test_transfer_uses_the_surrogates_examples(run: Run, outcomes: pd.DataFrame) -> None:
    here = outcomes[(outcomes.evaluation == "transfer") & (outcomes.surrogate == "softmax")]
    assert (here.known == "attacked").all(), "every sample is attacked for transfer"
    assert row(run, "transfer/mlp/fgsm@softmax/l2-1/success_rate").surrogate == "softmax"
    own = row(run, "transfer/mlp/fgsm@mlp/l2-1/success_rate").value
    foreign = row(run, "transfer/mlp/fgsm@softmax/l2-1/success_rate").value
    assert own > foreign, "examples crafted on the victim itself fool it more often"


def test_a_sample_broken_at_one_epsilon_is_broken_at_a_larger_one(outcomes: pd.DataFrame) -> None:
    here = outcomes[(outcomes.evaluation == "white") & (outcomes.model == "softmax") & (outcomes.attack == "fgsm")]
    table = here.pivot_table(index="sample", columns="threat", values="broken", aggfunc="max")
    assert (table["linf-0.02"] <= table["linf-0.1"]).all()
    assert (here[here.known == "inferred"].threat == "linf-0.1").all(), "one gradient gives both, so both are tried"
    pgd = outcomes[(outcomes.evaluation == "white") & (outcomes.model == "softmax") & (outcomes.attack == "pgd-4")]
    inferred = pgd[pgd.known == "inferred"]
    assert "linf-0.1" not in set(inferred.threat)
    standing = inferred[(inferred.threat == "linf-0.01") & ~inferred.broken]
    larger = pgd[(pgd.threat == "linf-0.02") & pgd["sample"].isin(standing["sample"])]
    assert len(standing) > 0
    assert not larger.broken.any(), "taken as robust because the larger radius did not break it"
    assert (inferred.forwards == 0).all()


def test_costs_are_means_over_all_samples(run: Run, outcomes: pd.DataFrame) -> None:
    here = outcomes[(outcomes.evaluation == "white") & (outcomes.model == "softmax") & (outcomes.threat == "linf-0.1")]
    by_attack = here.groupby("attack").forwards.mean()
    assert row(run, "white/softmax/pgd-4/linf-0.1/robust_accuracy").forwards == pytest.approx(
        by_attack["pgd-4"], rel=1e-5
    )
    worst = row(run, "white/softmax/worst-case/linf-0.1/robust_accuracy")
    assert worst.forwards == pytest.approx(by_attack.sum(), rel=1e-5)


def test_reconstruction_rows(run: Run, outcomes: pd.DataFrame) -> None:
    here = outcomes[(outcomes.evaluation == "rec") & (outcomes.threat == "trade-off-1")]
    assert len(here) == 6
    assert row(run, "rec/vae/latent/trade-off-1/input_distortion").value == pytest.approx(here.input_distortion.mean())
    assert row(run, "rec/vae/latent/trade-off-1/success_rate").value == pytest.approx(here.broken.mean())
    assert row(run, "rec/vae/latent/curve/auddc").n == 6


def test_generation_rows_have_real_data_beside_them(run: Run) -> None:
    assert row(run, "ring/real-data/ring/modes").value == 8
    share = row(run, "ring/real-data/ring/high_quality")
    assert share.n == 500
    assert share.low < share.value < share.high
    assert row(run, "ring/gan/ring/modes").trials == 2


def test_quotes_stand_beside_figures(run: Run) -> None:
    found = row(run, "white/softmax/fgsm/linf-0.1/robust_accuracy")
    assert (found.quoted, found.quoted_plus_minus, found.quoted_source) == (0.25, 0.1, "nobody 1999")
    assert {row.quoted_source for row in run.rows if row.row != found.row} == {""}


def test_a_missed_expectation_is_exit_code_one(run: Run) -> None:
    assert [finding.verdict for finding in run.findings] == ["met", "met", "missed"]
    assert run.exit_code == 1


def test_an_incomplete_run_is_exit_code_three_whatever_else(run: Run) -> None:
    broken = [Row(**{**vars(row), "status": "failed"}) if row.metric == "auddc" else row for row in run.rows]
    findings = examine(run.suite, broken)
    assert exit_code(broken, findings, {row.row for row in broken}) == 3
    assert exit_code(broken, findings, {"white/softmax/clean/none/accuracy"}) == 0


def test_the_folder_says_where_figures_come_from(run: Run) -> None:
    import json

    record = json.loads(Path(run.folder / "run.json").read_text())
    assert record["state"] == "ended"
    assert record["packages"]["torch"]
    assert {"commit", "dirty"} == set(record["git"]) or record["git"] == {}
    assert all(job["status"] == "ok" and len(job["key"]) == 32 for job in record["jobs"].values())
