"""Each check, on models that do what it looks for and on an honest one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bench.attacks.catalogue import ATTACKS
from bench.audit.answers import answers
from bench.audit.case import Case
from bench.audit.finding import Checked
from bench.audit.gradient_free import compared, gradient_free
from bench.audit.gradients import gradients
from bench.audit.more import more
from bench.audit.radii import radii
from bench.audit.rescaled import rescaled
from bench.audit.stronger import stronger, with_autoattack
from bench.audit.transferred import transferred
from bench.audit.watched import watched
from bench.defenses.stage import Stage
from tests.audit.masks import CaseOf, cut, effects, found, noisy, stopped

PGD = {"name": "pgd", "options": {"steps": 20}, "cost": 60.0}


class Honest:
    """An honest network under a good attack gives no check a reason to complain."""

    CHECKS: tuple[Callable[[Case], Checked], ...] = (
        gradients, answers, radii, rescaled, stronger,
        lambda case: gradient_free(case, stronger(case)), lambda case: watched(case, **PGD),
    )  # fmt: skip


@pytest.mark.parametrize("check", Honest.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_an_honest_network_passes(case_of: CaseOf, hidden: Any, check: Callable[[Case], Checked], norm: str) -> None:
    if norm == "l1":
        case = case_of(hidden().eval(), norm=norm, epsilons=(0.2,), attacks=[("l1-apgd", {"steps": 60, "loss": "dlr"})])
    else:
        epsilons = (0.004, 0.01) if norm == "linf" else (0.03, 0.07)
        case = case_of(hidden().eval(), norm=norm, epsilons=epsilons, attacks=[("apgd-ce", {}), ("apgd-t", {})])
    assert [finding.sentence for finding in check(case).findings if finding.effect] == []
    assert 0.05 < (~case.broken[-1]).mean() < 0.9, "nothing stands, or nothing falls: the case says nothing"


def test_an_attack_that_begins_outside_the_ball_is_watched_inside_it(case_of: CaseOf) -> None:
    """L1-APGD begins in larger balls, where all samples fall: what it says of samples that stand is of the ball."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 16))
    with torch.no_grad():
        model[1].weight.copy_(torch.eye(16, 64) * 3)
        model[1].bias.zero_()
    case = case_of(model.eval(), norm="l1", epsilons=(0.05,), attacks=[("l1-apgd", {})])
    options = ATTACKS["l1-apgd"].options().model_dump()
    checked = watched(case, name="l1-apgd", options=options, cost=1.0)
    assert effects(checked) == set()


class TestGradients:
    def test_of_zeros(self, case_of: CaseOf, hidden: Any) -> None:
        checked = gradients(case_of(hidden(stopped).eval()))
        assert {finding.value for finding in checked.findings} == {1.0}
        assert effects(checked) == {"masked"}

    def test_that_do_not_exist(self, case_of: CaseOf, hidden: Any) -> None:
        checked = gradients(case_of(hidden(cut).eval(), attacks=[]))
        assert effects(checked) == {"masked"}
        assert "no gradient at all" in checked.findings[0].sentence

    def test_of_a_saturated_softmax(self, case_of: CaseOf, hidden: Any) -> None:
        """The cross-entropy's gradient underflows, that of the margin does not."""
        by_name = found(gradients(case_of(hidden(after=lambda z: 1e4 * z).eval())))
        assert by_name["zero gradients of the cross-entropy"].value > 0.9
        assert by_name["zero gradients of the margin"].value == 0

    def test_a_loss_of_zero_with_a_good_gradient(self, case_of: CaseOf, hidden: Any) -> None:
        """Logits twenty apart: float32 rounds the loss to 0, and the gradient still points somewhere."""
        case = case_of(hidden(after=lambda z: z - 20 * torch.nn.functional.one_hot(z.argmax(1), 16) * -1).eval())
        x, y = case.batch(np.flatnonzero(case.correct)[:20])
        assert float(torch.nn.functional.cross_entropy(case.model(x), y)) == 0.0
        assert effects(gradients(case)) == set()

    def test_only_the_gradients_are_paid_for(self, case_of: CaseOf, hidden: Any) -> None:
        case = case_of(hidden().eval())
        gradients(case, samples=10)
        assert case.spent == {"forwards": 20.0, "backwards": 20.0}


class TestDeclaredStages:
    def test_they_hide_nothing_from_who_steps_over_them(self, case_of: CaseOf, hidden: Any) -> None:
        model = hidden(Stage(stopped)).eval()
        case = case_of(model, epsilons=(0.01,), attacks=[("apgd-ce", {"bpda": True}), ("apgd-t", {"bpda": True})])
        case.bpda = True
        for check in (gradients, radii, rescaled, stronger):
            assert effects(check(case)) == set()
        blind = case_of(model, epsilons=(0.01,))
        assert effects(gradients(blind)) == {"masked"}
        assert "masked" in effects(radii(blind))


class TestAnswers:
    def test_of_a_random_model(self, case_of: CaseOf, hidden: Any) -> None:
        checked = answers(case_of(hidden(noisy).eval()))
        assert found(checked)["answers that change between two passes"].value == 1.0
        assert effects(checked) == {"suspect"}

    def test_of_a_model_that_changes_itself(self, case_of: CaseOf, hidden: Any) -> None:
        model = hidden().eval()
        model.register_buffer("passes", torch.zeros(()))
        model.register_forward_pre_hook(lambda module, _: module.passes.add_(1) and None)
        told = found(answers(case_of(model)))["weights that change when called"]
        assert (told.level, told.effect) == ("fail", ""), "what it answers is the same: a fact, and no verdict"
        assert found(answers(case_of(hidden().eval())))["weights that change when called"].level == "pass"

    def test_that_depend_on_the_batch(self, case_of: CaseOf, hidden: Any) -> None:
        checked = answers(case_of(hidden(lambda x: x - 0.5 * x.mean(0)).eval()))
        assert found(checked)["answers that depend on the batch"].value > 0.5
        assert effects(checked) == {"suspect"}

    @pytest.mark.parametrize("width", [1, 2, 7])
    def test_that_depend_on_it_whatever_the_batch_size(self, case_of: CaseOf, hidden: Any, width: int) -> None:
        whole, parts = (
            found(answers(case_of(hidden(lambda x: x - 0.5 * x.mean(0)).eval(), attacks=[], width=each)))
            for each in (500, width)
        )
        name = "answers that depend on the batch"
        assert (whole[name].value, whole[name].effect) == (parts[name].value, parts[name].effect)

    def test_of_a_model_in_training_mode(self, case_of: CaseOf, hidden: Any) -> None:
        model = hidden().eval()
        model.layer = nn.Dropout(0.0).train()
        assert found(answers(case_of(model)))["layers in training mode"].effect == "suspect"

    def test_that_are_others_where_gradients_are_asked_for(self, case_of: CaseOf, hidden: Any) -> None:
        model = hidden(lambda x: x.flip(-1) if x.requires_grad else x).eval()
        name = "answers that depend on whether gradients are asked for"
        assert found(answers(case_of(model, attacks=[])))[name].effect == "masked"
        checked = watched(case_of(model, attacks=[], epsilons=(0.1,)), **PGD)
        assert found(checked)["silent successes"].level == "pass", "not the attack's fault"

    def test_that_are_probabilities(self, case_of: CaseOf, hidden: Any) -> None:
        checked = answers(case_of(hidden(after=lambda z: z.softmax(1)).eval()))
        assert found(checked)["answers that are probabilities"].effect == "suspect"

    def test_data_that_fills_a_corner_of_its_range(self, case_of: CaseOf, hidden: Any) -> None:
        checked = answers(case_of(hidden().eval(), box=(0.0, 255.0), attacks=[]))
        assert "[0, 255]" in found(checked)["share of the box without data"].sentence


class TestRadii:
    def test_an_attack_that_nothing_bounds(self, case_of: CaseOf, hidden: Any) -> None:
        checked = radii(case_of(hidden(stopped).eval()))
        assert found(checked)["unbounded attacks that fail"].effect == "masked"


class TestStronger:
    def test_a_weak_attack_is_told(self, case_of: CaseOf, hidden: Any) -> None:
        """Of one step with a fifth of the radius: what falls to the better attack had not fallen before."""
        case = case_of(hidden().eval(), attacks=[("pgd", {"steps": 1, "step_size": 0.002, "start": "clean"})])
        checked = stronger(case)
        assert effects(checked) == {"too-weak"}
        assert checked.found is not None
        assert checked.took is not None
        assert not (checked.found.flags & case.broken).any()
        assert not (checked.found.flags & ~checked.took).any()
        at = checked.found.flags[1].sum()
        assert f"breaks {at} of the {checked.took[1].sum()} samples" in checked.findings[1].sentence

    def test_more_steps_and_restarts(self, case_of: CaseOf, hidden: Any) -> None:
        options = {"steps": 2, "step_size": 0.001, "restarts": 1, "start": "clean", "loss": "cross-entropy"}
        case = case_of(hidden().eval(), attacks=[("pgd", options)])
        assert effects(more(case, name="pgd", options=options, what="steps")) == {"too-weak"}
        assert "more steps" in more(case, name="pgd", options=options, what="steps").findings[1].advice
        strong = case_of(hidden().eval(), attacks=[("apgd-t", {})])
        assert effects(more(strong, name="pgd", options={"steps": 20, "restarts": 1}, what="restarts")) == set()


class TestWithoutGradients:
    def test_square_finds_what_the_gradient_hides(self, case_of: CaseOf, hidden: Any) -> None:
        case = case_of(hidden(stopped).eval(), count=1000)
        checked = gradient_free(case, stronger(case))
        assert effects(checked) & {"suspect", "masked"}
        assert found(checked)["samples that fall to square alone"].value >= 7

    def test_a_model_without_any_gradient(self, case_of: CaseOf, hidden: Any) -> None:
        case = case_of(hidden(cut).eval(), attacks=[("square", {"queries": 2})])
        assert "masked" in effects(gradient_free(case, stronger(case)))

    @pytest.mark.parametrize(
        ("alone", "other", "effect"),
        [
            (2, 0, ""), (6, 0, ""), (7, 0, "suspect"), (9, 0, "masked"), (10, 1, "suspect"), (30, 10, "masked"),
            (10, 20, ""),
        ],
    )  # fmt: skip
    def test_what_is_chance(self, alone: int, other: int, effect: str) -> None:
        """Six of six by chance: 1/64; seven: 1/128. Four fall to both."""
        tried = np.array([True] * alone + [False] * other + [True] * 4)
        by_gradient = np.array([False] * alone + [True] * other + [True] * 4)
        assert compared("square", tried, by_gradient, 0.1).effect == effect

    def test_one_step_that_does_better_than_many(self, case_of: CaseOf, hidden: Any) -> None:
        """What one step broke, no better attack breaks: here the gradient leads nowhere."""
        kinds, attacks = [("fgsm", "lesser"), ("pgd", "gradient")], [("fgsm", {}), ("pgd", {"steps": 20})]
        case, name = (
            case_of(hidden(stopped).eval(), attacks=attacks),
            "samples that fall to the evaluation's fgsm alone",
        )
        one, many = case.fell
        many[-1], one[-1, :100] = False, case.correct[:100]
        told = found(gradient_free(case, stronger(case), attacks=kinds))[name]
        assert (told.effect, told.value) == ("masked", pytest.approx(8, abs=2))
        many[-1, 100:] = case.correct[100:]
        told = found(gradient_free(case, stronger(case), attacks=kinds))[name]
        assert (told.effect, told.value) == ("", pytest.approx(8, abs=2)), "as many fall to many steps alone"

    def test_many_steps_that_lead_nowhere_are_the_attacks_fault(self, case_of: CaseOf, hidden: Any) -> None:
        """Better ones break all that the one step breaks."""
        weak = {"steps": 2, "step_size": 1e-4, "start": "clean"}
        case = case_of(hidden().eval(), attacks=[("fgsm", {}), ("pgd", weak)])
        assert (case.fell[0] & ~case.fell[1]).sum() > 20
        kinds = [("fgsm", "lesser"), ("pgd", "gradient")]
        assert effects(gradient_free(case, stronger(case), attacks=kinds)) == set()

    def test_long_square_is_compared_with_the_gradient_and_not_with_square(self, case_of: CaseOf, hidden: Any) -> None:
        """AutoAttack ends with Square: what that breaks, no gradient has broken."""
        case = case_of(hidden(stopped).eval())
        whole = with_autoattack(case, samples=60)
        assert whole.by_gradient.sum() < 0.5 * whole.found.flags.sum()
        assert effects(gradient_free(case, whole, queries=500, thorough=True)) & {"suspect", "masked"}

    def test_transfer(self, case_of: CaseOf, hidden: Any) -> None:
        """Examples for the same network without its mask."""
        case, open_case = case_of(hidden(stopped).eval(), count=1000), case_of(hidden().eval(), count=1000)

        def examples(level: int, chosen: Any) -> Tensor:
            return torch.from_numpy(open_case.attack("apgd-ce", chosen, open_case.epsilons[level], {}).examples)

        checked = transferred(case, stronger(case), others=[("open", examples)])
        assert effects(checked) & {"suspect", "masked"}
        assert "transfer from open" in checked.findings[0].sentence
        same = transferred(open_case, stronger(open_case), others=[("open", examples)])
        assert effects(same) == set()


class TestRescaled:
    def test_a_large_scale(self, case_of: CaseOf, hidden: Any) -> None:
        assert effects(rescaled(case_of(hidden(after=lambda z: 1e4 * z).eval()))) == {"masked"}


LAST = """
import torch


def last(model, x, goal, *, threat, draws):
    point = x.clone()
    for step in range(6):
        point = point.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(goal.loss(model(point)).sum(), point)
        point = threat.project(point.detach() + (1 if step < 5 else -9) * threat.epsilon / 4 * gradient.sign(), x)
    return point
"""


class TestWatched:
    def test_an_attack_that_loses_what_it_had(
        self, case_of: CaseOf, hidden: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "lastattack.py").write_text(LAST)
        monkeypatch.syspath_prepend(tmp_path)
        case = case_of(hidden().eval(), epsilons=(0.1,), attacks=[])
        checked = watched(case, name="lastattack:last", options={}, cost=20.0)
        assert found(checked)["silent successes"].effect == "broken-attack"

    def test_a_random_model_is_not_the_attacks_fault(self, case_of: CaseOf, hidden: Any) -> None:
        checked = watched(case_of(hidden(noisy).eval(), attacks=[]), **PGD)
        assert found(checked)["silent successes"].level == "pass"

    def test_zero_gradients_and_no_progress(self, case_of: CaseOf, hidden: Any) -> None:
        by_name = found(watched(case_of(hidden(stopped).eval()), **PGD))
        assert by_name["zero gradients along the way"].effect == "masked"
        assert by_name["samples whose loss never rose"].effect == "suspect"

    def test_a_model_without_any_gradient(self, case_of: CaseOf, hidden: Any) -> None:
        assert effects(watched(case_of(hidden(cut).eval(), attacks=[]), **PGD)) == {"masked"}
