"""One property suite for every attack on classifiers, over every norm it takes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from bench.attacks.attack import Attack, create
from bench.attacks.budget import Budget
from bench.attacks.catalogue import ATTACKS
from bench.attacks.curve import ATTACKED, curve
from bench.attacks.threat import sizes

BIG = 1e6  # a box so wide that it never binds

OPTIONS: dict[str, list[dict[str, Any]]] = {
    "fgsm": [{}, {"loss": "margin", "temperature": 3.0}],
    "bim": [{}, {"keep_going": True}],
    "mi-fgsm": [{}, {"loss": "dlr"}],
    "pgd": [
        {"steps": 10},
        {"steps": 5, "restarts": 3},
        {"steps": 10, "start": "clean"},
        {"steps": 10, "keep_going": True},
        {"steps": 10, "eot": 2, "bpda": True},
    ],
    "apgd-ce": [{"steps": 25}, {"steps": 10, "restarts": 2}],
    "apgd-dlr": [{"steps": 25}],
    "apgd-t": [{"steps": 20, "targets": 3}],
    "l1-apgd": [{"steps": 40}, {"steps": 40, "schedule": False}],
    "fab-t": [{"steps": 20}],
    "deepfool": [{}],
    "cw-l2": [{"searches": 5, "steps": 200, "weight": 0.1, "learning_rate": 0.05}],
    "ddn": [{"steps": 100}],
    "fmn": [{"steps": 200}],
    "square": [{"queries": 150}, {"queries": 60, "restarts": 2, "rescale": False}],
    "autoattack": [{}],
    "noise": [{"law": "sign"}, {"repeats": 3}],
}
CASES = [
    pytest.param(entry.name, norm, options, id=f"{entry.name}-{norm}-{options}")
    for entry in ATTACKS.values()
    if entry.traits["against"] == "classifier"
    for norm in entry.traits["norms"]
    for options in OPTIONS[entry.name]
]
EPSILON = {"linf": 0.1, "l2": 0.4, "l1": 0.9}
every_attack = pytest.mark.parametrize(("name", "norm", "options"), CASES)
every_strong_attack = pytest.mark.parametrize(
    ("name", "norm", "options"), [case for case in CASES if case.values[0] != "noise"]
)
exact_on_lines = pytest.mark.parametrize(
    ("name", "norm", "options"), [case for case in CASES if case.values[0] not in ("noise", "square")]
)
SLACK = {"l1-apgd": 0.001, "cw-l2": 0.021, "ddn": 0.021, "fmn": 0.021, "deepfool": 0.001, "fab-t": 0.01}
"""How near the exact radius an attack that is not exact on a linear model may be wrong, relative."""


def make(name: str, norm: Any, options: dict[str, Any], **more: Any) -> Attack:
    return create(name, norm=norm, epsilon=more.pop("epsilon", EPSILON[norm]), **options, **more)


@every_attack
def test_examples_stay_in_the_ball_and_the_box(name, norm, options, curved, images) -> None:
    x, y = images
    result = make(name, norm, options)(curved, x, y)
    assert result.x_adv.shape == x.shape
    assert float(sizes(result.x_adv - x, norm).max()) <= EPSILON[norm] * (1 + 1e-6) + 1e-6
    assert float(result.x_adv.min()) >= 0
    assert float(result.x_adv.max()) <= 1
    assert bool(result.valid.all())


@every_strong_attack
def test_success_is_what_the_model_says_of_the_examples(name, norm, options, curved, images) -> None:
    x, y = images
    result = make(name, norm, options)(curved, x, y)
    assert result.success.tolist() == (curved(result.x_adv).argmax(1) != y).tolist()
    assert result.success[::5].all(), "samples that are misclassified from the start count as reached"
    assert 8 < int(result.success.sum()) < 40, "the case must hold both outcomes to mean something"


@every_strong_attack
def test_a_targeted_attack_reaches_its_target(name, norm, options, curved, images) -> None:
    x, y = images
    targets = (y + 1) % 8
    result = make(name, norm, options, epsilon=5 * EPSILON[norm])(curved, x, y, targets=targets)
    assert result.success.tolist() == (curved(result.x_adv).argmax(1) == targets).tolist()
    # every fifth label is already one below the model's answer, so that these targets are where the model is
    away = torch.arange(len(x)) % 5 != 0
    assert int(result.success[away].sum()) >= 5


@every_attack
def test_a_sample_fares_alike_in_any_batch_and_order(name, norm, options, curved, images) -> None:
    x, y = images
    ids = [f"sample {index}" for index in range(len(x))]
    attack = make(name, norm, options, seed=5)
    whole = attack(curved, x, y, ids=ids)
    for size in (1, 7):
        again = attack(curved, x, y, ids=ids, batch_size=size)
        assert torch.equal(again.x_adv, whole.x_adv)
        assert torch.equal(again.forwards, whole.forwards), "a sample's cost is its own"
        assert torch.equal(again.backwards, whole.backwards)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    shuffled = attack(curved, x[order], y[order], ids=[ids[index] for index in order])
    assert torch.equal(shuffled.x_adv, whole.x_adv[order])
    assert torch.equal(shuffled.forwards, whole.forwards[order])


@every_attack
@pytest.mark.parametrize(
    ("images_in", "answers_in"), [("float32", "float64"), ("float32", "float16"), ("float64", "float32")]
)
def test_a_model_may_answer_in_another_precision(name, norm, options, images_in, answers_in, curved, images) -> None:
    x, y = images[0][:20].to(getattr(torch, images_in)), images[1][:20]
    result = make(name, norm, options)(lambda x: curved(x.float()).to(getattr(torch, answers_in)), x, y)
    assert result.x_adv.dtype == x.dtype
    assert bool(result.valid.all())
    assert int(result.success.sum()) >= 4


@every_attack
def test_attacks_leave_no_trace(name, norm, options, curved, images) -> None:
    x, y = images
    before, state = x.clone(), torch.get_rng_state()
    make(name, norm, options)(curved, x, y)
    assert torch.equal(x, before)
    assert torch.equal(torch.get_rng_state(), state), "no draw from the global generator"
    assert all(parameter.grad is None for parameter in curved.parameters())


@exact_on_lines
@pytest.mark.parametrize("seed", range(3))
def test_two_classes_of_a_linear_model_are_solved_exactly(name, norm, options, seed, linear) -> None:
    """The loss of a linear model rises fastest along one direction, so one step of length epsilon is optimal.

    A sample is broken exactly when its margin is below epsilon times the dual norm of the weights' difference.
    """
    model = linear(12, 2, seed)
    x = torch.randn(200, 12, generator=torch.Generator().manual_seed(seed))
    y = model(x).argmax(1)
    normal = model.weight[1] - model.weight[0]
    dual = {"linf": normal.abs().sum(), "l2": normal.norm(), "l1": normal.abs().max()}[norm]
    distance = (model(x)[:, 0] - model(x)[:, 1]).abs() / dual
    epsilon = float(distance.median())
    if name == "pgd":
        options = {**options, "steps": 25, "step_size": epsilon / 5}
    result = make(name, norm, options, epsilon=epsilon, low=-BIG, high=BIG)(model, x, y)
    clear = (distance - epsilon).abs() > SLACK.get(name, 1e-4) * epsilon
    assert int(clear.sum()) >= 180
    assert result.success[clear].tolist() == (distance < epsilon)[clear].tolist()


@every_attack
def test_epsilon_zero_leaves_the_image(name, norm, options, curved, images) -> None:
    x, y = images
    assert torch.allclose(make(name, norm, options, epsilon=0.0)(curved, x, y).x_adv, x, atol=1e-7)


@every_attack
def test_each_pass_is_counted_once(name, norm, options, curved, images, monkeypatch) -> None:
    monkeypatch.setattr("bench.attacks.padding.least_rows", lambda _: 1)
    x, y = images
    passed: dict[str, int] = {"forwards": 0, "backwards": 0}

    def spying(batch: Tensor) -> Tensor:
        passed["forwards"] += len(batch)
        if batch.requires_grad:
            batch = batch * 1.0
            batch.register_hook(lambda gradient: passed.update(backwards=passed["backwards"] + len(gradient)))
        return curved(batch)

    result = make(name, norm, options)(spying, x, y)
    verified = len(x)
    assert result.forwards.sum() == passed["forwards"] - verified
    assert result.backwards.sum() == passed["backwards"]
    if name == "fgsm":
        assert result.forwards.tolist() == [1.0] * 40


@every_strong_attack
def test_a_budget_is_never_exceeded_and_what_was_found_is_kept(name, norm, options, curved, images) -> None:
    x, y = images
    whole = make(name, norm, options)(curved, x, y)
    most = int(whole.forwards.max())
    budget = Budget(forwards=max(1, most // 2))
    half = make(name, norm, options, budget=budget)(curved, x, y)
    assert float(half.forwards.max()) <= max(1, most // 2)
    assert bool(half.valid.all())
    # what was reached within the budget without one is reached with it
    early = whole.success & (whole.forwards <= max(1, most // 2))
    assert bool((half.success | ~early).all())


@every_strong_attack
def test_a_curve_agrees_with_separate_attacks(name, norm, options, curved, images) -> None:
    x, y = images
    x, y = x[:20], y[:20]
    epsilons = [EPSILON[norm] * factor for factor in (0.5, 1.0, 2.0)]
    whole = curve(make(name, norm, options), curved, x, y, epsilons=epsilons)
    assert bool((whole.success[:-1] <= whole.success[1:]).all()), "broken at a radius, broken at a larger one"
    for level, epsilon in enumerate(epsilons):
        distance = sizes(whole.examples[level] - x, norm)
        assert float(distance[whole.success[level]].max()) <= epsilon * (1 + 1e-6) + 1e-6
        alone = make(name, norm, options, epsilon=epsilon)(curved, x, y)
        assert int((alone.success != whole.success[level]).sum()) <= 1
        if not create(name, norm=norm, epsilon=epsilon).shared_curve:
            attacked = whole.known[level] == ATTACKED
            assert torch.equal(alone.success[attacked], whole.success[level][attacked])


def test_more_steps_and_restarts_never_do_worse(curved, images) -> None:
    x, y = images
    few = create("pgd", norm="linf", epsilon=0.1, steps=3, step_size=0.02)(curved, x, y).success
    more = create("pgd", norm="linf", epsilon=0.1, steps=30, step_size=0.02)(curved, x, y).success
    again = create("pgd", norm="linf", epsilon=0.1, steps=30, step_size=0.02, restarts=3)(curved, x, y).success
    assert bool((few <= more).all())
    assert bool((more <= again).all())
    assert int(more.sum()) > int(few.sum())


def test_pgd_returns_its_best_point_not_its_last() -> None:
    """On a loss with a ridge, a long step overshoots: the last point is worse than one on the way."""

    def ridge(x: Tensor) -> Tensor:
        height = -(x.flatten(1).mean(1) - 0.56).abs() * 100
        return torch.stack([torch.zeros(len(x)), height + 2], 1)

    x = torch.full((1, 1, 4, 4), 0.5)
    result = create("pgd", norm="linf", epsilon=0.4, steps=3, step_size=0.06, start="clean")(
        ridge, x, torch.tensor([0])
    )
    assert bool(result.success)
    # from 0.5 one step lands on the ridge at 0.56, where class 1 leads by 2
    assert float(result.x_adv.mean()) == pytest.approx(0.56, abs=1e-6)
