"""The planted self-test: every attack of ours passes it, and attacks that are broken on purpose do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from bench.attacks.catalogue import ATTACKS
from bench.attacks.threat import Threat
from bench.audit.planted import bump, ground, linear, planted, valley

RADII = {"linf": 0.3, "l2": 2.0, "l1": 10.0}
SHORT: dict[str, dict[str, Any]] = {
    "cw-l2": {"steps": 200, "searches": 5}, "ddn": {"steps": 200}, "fmn": {"steps": 200}, "square": {"queries": 500},
    "fab-t": {"steps": 30, "targets": 2}, "apgd-t": {"steps": 30, "targets": 2}, "l1-apgd": {"steps": 60},
}  # fmt: skip
CONFIGURATIONS = [
    (name, SHORT.get(name, {}), norm)
    for name, entry in ATTACKS.items()
    if entry.traits["against"] == "classifier" and name != "autoattack"
    for norm in entry.traits["norms"]
] + [
    ("pgd", {"steps": 40, "step_size": 0.01}, "linf"), ("pgd", {"loss": "margin"}, "l2"),
    ("pgd", {"loss": "dlr", "restarts": 2, "steps": 10}, "linf"), ("bim", {"steps": 100}, "linf"),
]  # fmt: skip


def run(name: str, options: dict[str, Any], norm: str = "linf", *, targeted: bool = False) -> list[Any]:
    filled = options if ":" in name else ATTACKS[name].options(**options).model_dump()
    checked = planted(
        name=name, options=filled, norm=norm, epsilons=[RADII[norm]], box=(0.0, 1.0), shape=(1, 12, 12),
        targeted=targeted,
    )  # fmt: skip
    return list(checked.findings)


@pytest.mark.parametrize(("name", "options", "norm"), CONFIGURATIONS, ids=str)
def test_every_attack_of_ours_finds_what_is_planted(name: str, options: dict[str, Any], norm: str) -> None:
    assert [finding.sentence for finding in run(name, options, norm) if finding.level != "pass"] == []


STEPS: list[tuple[str, dict[str, Any]]] = [("fgsm", {}), ("pgd", {"steps": 3}), ("pgd", {"steps": 10}), ("apgd-ce", {})]
AT_RADII = [
    (name, options, share, norm)
    for name, options in STEPS
    for share in (0.01, 0.35, 0.6, 1.0)
    for norm in ("linf", "l2")
] + [("pgd", {"step_size": 0.01}, share, "linf") for share in (0.01, 0.35)]  # its steps cross no larger ball


@pytest.mark.parametrize(("name", "options", "share", "norm"), AT_RADII, ids=str)
def test_at_small_and_large_radii(name: str, options: dict[str, Any], share: float, norm: Any) -> None:
    """Whatever the radius, the box does not end a sound attack's step where the planted examples are not."""
    epsilon = share * (1 if norm == "linf" else 12)
    filled = ATTACKS[name].options(**options).model_dump()
    checked = planted(
        name=name, options=filled, norm=norm, epsilons=[epsilon], box=(0.0, 1.0), shape=(1, 12, 12), targeted=False
    )
    assert [finding.sentence for finding in checked.findings if finding.level != "pass"] == []


@pytest.mark.parametrize("name", ["pgd", "apgd-ce", "mi-fgsm"])
def test_targeted_attacks_do_as_well(name: str) -> None:
    assert all(finding.level == "pass" for finding in run(name, {}, targeted=True))


BROKEN = """
import torch


def climb(model, x, goal, threat, *, steps=20, length, sign=1.0, last=False):
    point, best, top = x.clone(), x.clone(), torch.full((len(x),), -torch.inf)
    for step in range(steps + 1):
        point = point.detach().requires_grad_()
        logits = model(point)
        margin = goal.margin(logits).detach()
        better = (margin > top) | last
        best[better], top = point.detach()[better], torch.maximum(margin, top)
        (gradient,) = torch.autograd.grad(goal.loss(logits).sum(), point)
        point = threat.project(point.detach() + sign * length * gradient.sign(), x)
    return best


def good(model, x, goal, *, threat, draws):
    return climb(model, x, goal, threat, length=threat.epsilon / 8)


def still(model, x, goal, *, threat, draws):
    return climb(model, x, goal, threat, length=0.0)


def backwards(model, x, goal, *, threat, draws):
    return climb(model, x, goal, threat, length=threat.epsilon / 8, sign=-1.0)


def last(model, x, goal, *, threat, draws):
    return climb(model, x, goal, threat, length=threat.epsilon / 8, last=True)
"""


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "brokenattacks.py").write_text(BROKEN)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("broken")
class TestBrokenOnPurpose:
    def test_the_same_attack_unbroken_passes(self) -> None:
        assert [finding.level for finding in run("brokenattacks:good", {})] == ["pass"] * 3

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("still", "finds 0% of the adversarial examples planted on a linear model"),
            ("backwards", "finds 0% of the adversarial examples planted on a linear model"),
            ("last", "came through adversarial points of a planted model for 100% of the samples"),
        ],
    )
    def test_it_is_named(self, name: str, words: str) -> None:
        findings = run(f"brokenattacks:{name}", {})
        said = [finding.sentence for finding in findings if finding.effect == "broken-attack"]
        assert any(words in sentence for sentence in said), said

    def test_it_is_named_where_it_is_broken(self) -> None:
        """Steps of 0.01 cross a small ball and no large one."""
        filled = ATTACKS["pgd"].options(steps=10, step_size=0.01).model_dump()
        checked = planted(
            name="pgd", options=filled, norm="linf", epsilons=[0.05, 0.3], box=(0.0, 1.0), shape=(1, 12, 12),
            targeted=False,
        )  # fmt: skip
        assert {finding.epsilon for finding in checked.findings if finding.effect == "broken-attack"} == {0.3}
        assert {finding.epsilon for finding in checked.findings} == {0.05, 0.3}

    def test_steps_that_cannot_cross_the_ball(self) -> None:
        said = [finding.sentence for finding in run("pgd", {"steps": 3, "step_size": 0.001}) if finding.sentence]
        assert "'pgd' at 0.3 finds 0% of the adversarial examples planted on a linear model" in said[0]


class TestGround:
    @pytest.mark.parametrize("norm", RADII)
    def test_the_linear_models_answer_is_known(self, norm: Any) -> None:
        """A step of the whole reach along the direction crosses the boundary; one of 0.79 of it does not."""
        threat = Threat(norm, RADII[norm])
        soil = ground((1, 12, 12), threat)
        x = soil.x[:1]
        model = linear(soil, soil.along(x).item(), 0.8)
        for share, label in ((0.0, 0), (0.79, 0), (0.81, 1), (1.0, 1)):
            point = x + share * soil.reach * soil.direction
            assert int(model(point).argmax()) == label
            assert torch.equal(threat.project(point, x), point) or share == 1.0

    def test_no_shorter_way_crosses_it(self) -> None:
        """The direction is the steepest: random steps of the same size get less far."""
        soil = ground((1, 12, 12), Threat("linf", 0.3))
        random = (torch.rand(100, 1, 12, 12, generator=torch.Generator().manual_seed(0)) * 2 - 1) * soil.reach
        assert float((soil.along(soil.x[:1] + random) - soil.along(soil.x[:1])).max()) < soil.reach

    def test_the_bump_holds_its_example(self) -> None:
        soil = ground((1, 12, 12), Threat("l2", 2.0))
        x = soil.x[:1]
        model = bump(soil, x)
        shares = (0, 0.1, 0.7, 1.3)
        answers = [int(model(x + share * soil.reach * soil.direction).argmax()) for share in shares]
        assert answers == [0, 0, 1, 0]

    def test_the_valleys_loss_rises_all_the_way(self) -> None:
        soil = ground((1, 12, 12), Threat("linf", 0.3))
        x = soil.x[:1]
        model = valley(soil, soil.along(x).item())
        points = torch.cat([x + share * soil.reach * soil.direction for share in torch.linspace(0, 0.8, 41).tolist()])
        logits = model(points)
        losses = torch.nn.functional.cross_entropy(logits, torch.zeros(41, dtype=torch.int64), reduction="none")
        assert bool((losses.diff() > 0).all())
        wrong = (logits.argmax(1) != 0).tolist()
        assert wrong[0] is False
        assert any(wrong)
        assert wrong[-1] is False
