"""An audit as a suite asks for it: jobs, keys, verdicts, ranking, rescue."""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bench.audit.finding import Checked, Finding

if TYPE_CHECKING:
    from bench.runner import Run
    from tests.conftest import Workshop

MODULE = """
import torch


def nothing(model, x, goal, *, threat, draws):
    return x.clone()


def endless(model, x, goal, *, threat, draws):
    while True:
        model(x)


def last(model, x, goal, *, threat, draws):
    point = x.clone()
    for step in range(8):
        point = point.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(goal.loss(model(point)).sum(), point)
        point = threat.project(point.detach() + threat.epsilon / 6 * gradient.sign(), x)
    return point.detach()
"""

BACKWARD = """
import torch
from torch import nn


class Refuse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.flatten(1)[:, :10].clone()

    @staticmethod
    def backward(ctx, gradient):
        raise RuntimeError("no backward for you")


def model():
    return lambda x: Refuse.apply(x)
"""

SUITE = """
suite: audited
data:
  mnist-train: {source: mnist, split: train}
  mnist: {source: mnist, split: test, take: 200}
models:
MODELS
evaluations:
  wb:
    kind: robustness
    models: [NAMES]
    data: mnist
    threat: {norm: linf, epsilon: EPSILON}
    attacks: [ATTACKS]
    audit: AUDIT
"""
CNN = "cnn: {kind: classifier, arch: cnn-small, train: {recipe: standard, data: mnist-train, epochs: 3}}"
PGD = (
    "cnn-pgd: {kind: classifier, arch: cnn-small, train: {recipe: adversarial, data: mnist-train, epsilon: 0.3, "
    "steps: 10, epochs: 20, learning_rate: 5e-3, warm_up: 0.4}}"
)
ATTACKS = "fgsm, {pgd: {steps: 40, step_size: 0.01}, as: pgd-40}"


MASKS = {
    "stopped": "{zero-gradient: {declared: false}}",
    "scaled": "logit-scale",
    "thermometer": "{thermometer: {declared: false}}",
    "declared": "thermometer",
    "quantised": "{quantisation: {declared: false}}",
    "resized": "random-resize",
    "probable": "softmax-output",
}


def suite(*models: str, epsilon: str = "0.07", attacks: str = ATTACKS, audit: str = "quick") -> str:
    """A suite of the zoo's models (written out) and of the undefended one behind masks (by name)."""
    masked = CNN.partition(":")[2].strip().removesuffix("}")
    lines = [model if ":" in model else f"{model}: {masked}, defenses: [{MASKS[model]}]}}" for model in models]
    names = [line.partition(":")[0] for line in lines]
    text = SUITE.replace("MODELS", "\n".join(f"  {line}" for line in lines)).replace("NAMES", ", ".join(names))
    return text.replace("EPSILON", epsilon).replace("ATTACKS", attacks).replace("AUDIT", audit)


@pytest.fixture
def masks(workshop: Workshop) -> Workshop:
    workshop.module("masks", MODULE)
    return workshop


def verdicts(workshop: Workshop, run: Run, part: str = "worst-case") -> dict[tuple[str, str], tuple[str, str]]:
    """Model and row verdict by model and radius."""
    return {
        (row.model, row.threat): (row.model_verdict, row.row_verdict)
        for row in workshop.rows(run).values()
        if row.attack == part
    }


def passes(workshop: Workshop, run: Run) -> tuple[float, float]:
    """Forward passes plus two a backward pass: of the attacks, and of the audit of the models."""
    from bench.engine.store import read_record

    attacks = audit = 0.0
    for name, state in run.states.items():
        if state.path is None:
            continue
        record = read_record(state.path)
        if name.startswith("attack/"):
            attacks += float(record.arrays["forwards"].sum() + 2 * record.arrays["backwards"].sum())
        elif name.startswith("audit/"):
            audit += record.meta["forwards"] + 2 * record.meta["backwards"]
    return attacks, audit


def test_masked_models_are_found(masks: Workshop) -> None:
    run = masks.run(suite(*MASKS))
    assert run.exit_code == 0, [row.message for row in run.rows if row.status != "ok"]
    found = {model: verdict for (model, _), (verdict, _) in verdicts(masks, run).items()}
    assert {model: verdict in ("masked", "suspect") for model, verdict in found.items()} == dict.fromkeys(MASKS, True)
    assert {found[name] for name in ("stopped", "scaled", "thermometer", "declared", "quantised")} == {"masked"}
    row = masks.rows(run)["wb/thermometer/pgd-40/linf-0.07/robust_accuracy"]
    assert (row.status, row.row_verdict) == ("ok", "too-weak")
    assert row.message.startswith("nothing was found: the model gives no gradient")
    assert "model: the model gives no gradient at all" in row.reason


def test_honest_models_are_trusted_and_a_weak_attack_is_told(masks: Workshop) -> None:
    run = masks.run(suite(CNN, PGD, epsilon="[0.1, 0.3]").replace("take: 200", "take: 300"))
    found = verdicts(masks, run)
    assert {model for model, _ in found.values()} == {"trusted"}
    assert found["cnn-pgd", "linf-0.3"] == ("trusted", "too-weak")
    assert found["cnn-pgd", "linf-0.1"] == ("trusted", "adequate")
    row = masks.rows(run)["wb/cnn-pgd/worst-case/linf-0.3/robust_accuracy"]
    assert "samples that it leaves standing fall to other attacks" in row.reason
    row = masks.rows(run)["wb/cnn-pgd/worst-case/linf-0.1/robust_accuracy"]
    assert re.search(r"row: left standing: \d+; better attacks of the audit tried \d+ of them", row.reason)
    assert "checks found nothing that hides its gradients; `audit: full` looks for longer" in row.reason
    clean = masks.rows(run)["wb/cnn/clean/none/accuracy"]
    assert (clean.model_verdict, clean.row_verdict) == ("trusted", "")
    attacks, audit = passes(masks, run)
    assert 0 < audit <= 0.35 * attacks
    page = (masks.folder / "out" / "report.html").read_text()
    assert "<b>wb/cnn-pgd</b>: trusted" in page


def test_a_masked_model_never_leads(masks: Workshop) -> None:
    from bench.report.ranking import rankings

    run = masks.run(suite("stopped", CNN))
    values = {row.model: row.value for row in run.rows if row.attack == "worst-case"}
    assert values["stopped"] > values["cnn"] + 0.1
    (ranking,) = rankings(run.suite, run.rows)
    assert [(place.row.model, place.rank) for place in ranking.places] == [("cnn", "1"), ("stopped", "2")]


def test_what_is_done_is_not_done_again(masks: Workshop) -> None:
    """`off`, `quick` and `full` share attacks, and `full` shares the checks of `quick`."""
    small = {"assignments": ("data.mnist.take=60",)}
    masks.run(suite(CNN, audit="off"), *small["assignments"], out=masks.folder / "off")
    masks.run(suite(CNN, audit="quick"), *small["assignments"], out=masks.folder / "quick")
    masks.run(suite(CNN, audit="full"), *small["assignments"], out=masks.folder / "full")
    done = {name: masks.journal("ended", name) for name in ("off", "quick", "full")}
    assert {job.partition("/")[0] for job in done["off"]} == {"attack", "verify"}
    assert {job.partition("/")[0] for job in done["quick"]} == {"audit"}
    assert {job.partition("/")[0] for job in done["full"]} == {"audit", "rescue", "verify"}
    assert {job.rpartition("/")[2] for job in done["full"] if job.startswith("audit/")} == {
        "more-steps.pgd-40", "more-restarts.pgd-40", "autoattack", "gradient-free-long"
    }  # fmt: skip


def test_the_rescue_is_carried_by_the_worst_case(masks: Workshop) -> None:
    """Where the stage is declared, what stands is what stands under AutoAttack over it."""
    text = suite("declared", CNN, audit="full")
    text += """  reference:
    kind: robustness
    models: [declared]
    data: mnist
    threat: {norm: linf, epsilon: 0.07}
    attacks: [{autoattack: {bpda: true}, as: aa}]
"""
    rows = masks.rows(masks.run(text, "data.mnist.take=25"))
    worst = rows["wb/declared/worst-case/linf-0.07/robust_accuracy"]
    reference = rows["reference/declared/worst-case/linf-0.07/robust_accuracy"].value
    assert worst.value == pytest.approx(reference, abs=0.041)  # one of 25
    assert (worst.model_verdict, worst.row_verdict) == ("masked", "adequate")
    assert rows["wb/declared/pgd-40/linf-0.07/robust_accuracy"].value > worst.value + 0.05
    # nothing is tried on a model that can be trusted
    row = rows["wb/cnn/rescue/linf-0.07/robust_accuracy"]
    assert (row.forwards, row.message) == (0, "nothing is masked: only what checks broke is counted")
    assert rows["wb/declared/rescue/linf-0.07/robust_accuracy"].message.startswith("tried on what stood: autoattack")


def test_an_attack_that_returns_its_last_point_is_broken(masks: Workshop) -> None:
    rows = masks.rows(masks.run(suite(CNN, attacks='"masks:last"'), "data.mnist.take=60"))
    for part in ("last", "worst-case"):
        row = rows[f"wb/cnn/{part}/linf-0.07/robust_accuracy"]
        assert row.row_verdict == "broken-attack"
        assert "does not keep its best" in row.reason


@pytest.mark.parametrize("norm", ["l2", "l1"])
def test_other_norms_and_targets(masks: Workshop, norm: str) -> None:
    attack = "{l1-apgd: {steps: 20}}" if norm == "l1" else "{pgd: {steps: 10}}"
    text = suite(CNN, attacks=attack, epsilon={"l2": "1", "l1": "5"}[norm]).replace("linf", norm)
    text = text.replace("epsilon: ", "target: next, epsilon: " if norm == "l2" else "epsilon: ", 1)
    run = masks.run(text, "data.mnist.take=60")
    assert run.exit_code == 0, [state.message for state in run.states.values() if state.message]
    assert {model for model, _ in verdicts(masks, run).values()} == {"trusted"}


def test_a_part_of_a_run_has_no_verdict(masks: Workshop) -> None:
    run = masks.run(suite(CNN), "data.mnist.take=60", only="wb/cnn/fgsm/*")
    assert not [job for job in run.states if job.startswith("audit/")]
    row = masks.rows(run)["wb/cnn/fgsm/linf-0.07/robust_accuracy"]
    assert (row.status, row.row_verdict, row.model_verdict) == ("ok", "unaudited", "unaudited")


def test_a_check_that_fails_leaves_the_model_unaudited(masks: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **options: Any) -> None:
        raise ValueError("out of order")

    monkeypatch.setattr("bench.audit.radii.radii", fail)
    run = masks.run(suite(CNN), "data.mnist.take=60")
    assert run.exit_code == 3
    row = masks.rows(run)["wb/cnn/worst-case/linf-0.07/robust_accuracy"]
    assert (row.status, row.model_verdict) == ("ok", "unaudited")
    assert not np.isnan(row.value)
    assert "the audit could not finish: ValueError: out of order" in row.reason


def test_a_model_that_fails_does_not_spoil_the_verdict_on_others(masks: Workshop) -> None:
    masks.module("bad", "def model():\n    return lambda x: 1 / 0\n")
    run = masks.run(suite(CNN, 'bad: {kind: classifier, load: "bad:model"}'), "data.mnist.take=60")
    assert run.exit_code == 3
    assert run.states["audit/wb/cnn/0/transfer"].status == "ok"
    assert verdicts(masks, run)["cnn", "linf-0.07"][0] == "trusted"
    assert masks.rows(run)["wb/bad/worst-case/linf-0.07/robust_accuracy"].status == "failed"


def test_the_csv_says_why(masks: Workshop) -> None:
    masks.run(suite("stopped"), "data.mnist.take=60")
    with (masks.folder / "out" / "leaderboard.csv").open() as file:
        rows = list(csv.DictReader(file))
    (worst,) = (row for row in rows if row["attack"] == "worst-case")
    assert worst["model_verdict"] == "masked"
    assert "Next: " in worst["reason"]


def test_verdicts_are_expected_like_figures(masks: Workshop) -> None:
    text = suite("stopped", CNN)
    row = "wb/MODEL/worst-case/linf-0.07/robust_accuracy"
    text += f"""expect:
  - {{row: {row.replace("MODEL", "stopped")}, model_verdict: [suspect, masked], row_verdict: [too-weak]}}
  - {{row: {row.replace("MODEL", "cnn")}, model_verdict: [trusted], min: 0.3}}
  - {{row: {row.replace("MODEL", "stopped")}, model_verdict: [trusted]}}
"""
    run = masks.run(text, "data.mnist.take=60")
    assert [finding.verdict for finding in run.findings] == ["met", "met", "missed"]
    assert (run.findings[2].wanted, run.findings[2].found) == ("model trusted", "model masked")
    assert run.exit_code == 1
    part = masks.run(text, "data.mnist.take=60", only="wb/*/fgsm/*", out=masks.folder / "part")
    assert {finding.verdict for finding in part.findings} == {"unknown"}


def test_a_budget_is_kept_by_more_of_the_same(masks: Workshop) -> None:
    """No restart beyond what a sample may cost: nothing more is found, and nothing more is spent."""
    text = suite(CNN, attacks="{pgd: {steps: 10}}", audit="full").replace(
        "audit: full", "audit: full\n    budget: {backwards: 10}"
    )
    run = masks.run(text, "data.mnist.take=60")
    from bench.engine.store import read_record

    for check in ("more-steps", "more-restarts"):
        path = run.states[f"audit/wb/cnn/0/{check}.pgd"].path
        assert path is not None
        record = read_record(path)
        assert not record.arrays["found"].any()
        assert record.meta["backwards"] <= 10 * 60


def test_an_attack_that_only_a_budget_ends(masks: Workshop) -> None:
    text = suite(CNN, attacks='"masks:endless"').replace("audit: quick", "audit: quick\n    budget: {forwards: 5}")
    run = masks.run(text, "data.mnist.take=20")
    assert run.exit_code == 0, [state.message for state in run.states.values() if state.message]


def test_a_neighbour_that_cannot_be_attacked_takes_no_rescue_away(masks: Workshop) -> None:
    masks.module("bad", BACKWARD)
    run = masks.run(suite("stopped", 'bad: {kind: classifier, load: "bad:model"}', audit="full"), "data.mnist.take=20")
    assert run.states["attack/wb/bad/0/pgd-40/0"].status == "failed"
    assert run.states["rescue/wb/stopped/0/0"].status == "ok"
    assert masks.rows(run)["wb/stopped/worst-case/linf-0.07/robust_accuracy"].status == "ok"


def test_a_rescue_answers_what_one_late_check_has_found(masks: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Findings of every check count, the long ones and those on other models' examples included."""
    late = Finding("late", 1.0, 0.0, "fail", "masked", "seen late")
    monkeypatch.setattr("bench.audit.transferred.transferred", lambda *_, **__: Checked([late]))
    rows = masks.rows(masks.run(suite(CNN, audit="full"), "data.mnist.take=25"))
    assert rows["wb/cnn/rescue/linf-0.07/robust_accuracy"].message.startswith("tried on what stood: autoattack")


def test_a_full_audit_counts_what_its_checks_broke(masks: Workshop) -> None:
    """Of an honest model as well: its worst case is then what AutoAttack leaves of the samples it took."""
    text = suite(PGD, epsilon="0.3", attacks="fgsm", audit="full")
    text += """  reference:
    kind: robustness
    models: [cnn-pgd]
    data: mnist
    threat: {norm: linf, epsilon: 0.3}
    attacks: [autoattack]
"""
    rows = masks.rows(masks.run(text, "data.mnist.take=60"))
    worst = rows["wb/cnn-pgd/worst-case/linf-0.3/robust_accuracy"]
    assert worst.value < rows["wb/cnn-pgd/fgsm/linf-0.3/robust_accuracy"].value
    assert worst.value == pytest.approx(rows["reference/cnn-pgd/worst-case/linf-0.3/robust_accuracy"].value, abs=0.017)
    assert (worst.model_verdict, worst.row_verdict) == ("trusted", "adequate")
    assert rows["wb/cnn-pgd/fgsm/linf-0.3/robust_accuracy"].row_verdict == "too-weak"


def test_stepping_over_a_declared_stage_is_no_masking(masks: Workshop) -> None:
    run = masks.run(suite("declared", attacks="{pgd: {steps: 40, bpda: true}, as: pgd-bpda}"), "data.mnist.take=60")
    assert verdicts(masks, run)["declared", "linf-0.07"][0] == "trusted"


def test_who_knows_a_defence_attacks_the_network_without_it(masks: Workshop) -> None:
    """What is not declared nobody is told of."""
    run = masks.run(suite("declared", "stopped", attacks="fgsm", audit="full"), "data.mnist.take=30")
    tried = {row.model: row.message for row in run.rows if row.attack == "rescue"}
    assert "transfer from declared without its defences" in tried["declared"]
    assert "from declared" in tried["stopped"]
    assert "without its defences" not in tried["stopped"]


def test_a_run_that_ends_before_the_rescue_is_told_all_the_same(masks: Workshop) -> None:
    masks.module("bad", "def model():\n    return lambda x: 1 / 0\n")
    text = suite("stopped", 'bad: {kind: classifier, load: "bad:model"}', audit="full")
    run = masks.run(text, "data.mnist.take=25", fail_fast=True)
    assert run.exit_code == 3
    assert masks.rows(run)["wb/bad/worst-case/linf-0.07/robust_accuracy"].status == "failed"


@pytest.mark.parametrize("attack", ["masks:nothing", "noise"])
def test_few_samples_of_many_are_enough_to_call_an_attack_too_weak(masks: Workshop, attack: str) -> None:
    """A check takes so few of 10,000 samples that they are less than half a percent of all."""
    run = masks.run(suite(CNN, attacks=f'"{attack}"', epsilon="0.1"), "data.mnist.take=10000")
    (row,) = (row for row in run.rows if row.attack == "worst-case")
    assert row.value > 0.9
    assert (row.model_verdict, row.row_verdict) == ("trusted", "too-weak")


@pytest.mark.parametrize("attack", ["masks:nothing"])
def test_an_attack_that_finds_nothing_planted_is_too_weak(masks: Workshop, attack: str) -> None:
    """Though all samples that it leaves standing do stand."""
    run = masks.run(suite(CNN, attacks=f'"{attack}"', epsilon="0.0001"), "data.mnist.take=60")
    (row,) = (row for row in run.rows if row.attack == "worst-case")
    assert row.row_verdict == "too-weak"
    assert "finds 0% of the adversarial examples planted" in row.reason


@pytest.mark.parametrize("name", ["rescue"])
def test_the_rescue_is_a_name_of_its_own(masks: Workshop, name: str) -> None:
    from bench.errors import SuiteError

    with pytest.raises(SuiteError, match="'rescue' is the name of a row of its own"):
        masks.run(suite(CNN, attacks=f"{{fgsm: {{}}, as: {name}}}"))
