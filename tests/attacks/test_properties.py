"""One property suite for every attack on classifiers, over every norm it takes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from bench.attacks.attack import Attack, create
from bench.attacks.catalogue import ATTACKS
from bench.attacks.threat import sizes
from bench.errors import AttackError

BIG = 1e6  # a box so wide that it never binds

OPTIONS: dict[str, list[dict[str, Any]]] = {
    "fgsm": [{}],
    "pgd": [
        {"steps": 10},
        {"steps": 5, "restarts": 3},
        {"steps": 10, "start": "clean"},
        {"steps": 10, "keep_going": True},
    ],
}
CASES = [
    pytest.param(entry.name, norm, options, id=f"{entry.name}-{norm}-{options}")
    for entry in ATTACKS.values()
    if entry.traits["against"] == "classifier"
    for norm in entry.traits["norms"]
    for options in OPTIONS[entry.name]
]
EPSILON = {"linf": 0.1, "l2": 0.4}
every_attack = pytest.mark.parametrize(("name", "norm", "options"), CASES)


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


@every_attack
def test_success_is_what_the_model_says_of_the_examples(name, norm, options, curved, images) -> None:
    x, y = images
    result = make(name, norm, options)(curved, x, y)
    assert result.success.tolist() == (curved(result.x_adv).argmax(1) != y).tolist()
    assert result.success[::5].all(), "samples that are misclassified from the start count as reached"
    assert 8 < int(result.success.sum()) < 40, "the case must hold both outcomes to mean something"


@every_attack
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
    whole = attack(curved, x, y, ids=ids).x_adv
    for size in (1, 7):
        parts = [
            attack(curved, x[i : i + size], y[i : i + size], ids=ids[i : i + size]).x_adv for i in range(0, 40, size)
        ]
        assert torch.equal(torch.cat(parts), whole)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    shuffled = attack(curved, x[order], y[order], ids=[ids[index] for index in order]).x_adv
    assert torch.equal(shuffled, whole[order])


@every_attack
def test_attacks_leave_no_trace(name, norm, options, curved, images) -> None:
    x, y = images
    before, state = x.clone(), torch.get_rng_state()
    make(name, norm, options)(curved, x, y)
    assert torch.equal(x, before)
    assert torch.equal(torch.get_rng_state(), state), "no draw from the global generator"
    assert all(parameter.grad is None for parameter in curved.parameters())


@every_attack
@pytest.mark.parametrize("seed", range(5))
def test_two_classes_of_a_linear_model_are_solved_exactly(name, norm, options, seed, linear) -> None:
    """The loss of a linear model rises fastest along one direction, so one step of length epsilon is optimal.

    A sample is broken exactly when its margin is below epsilon times the dual norm of the weights' difference.
    """
    model = linear(12, 2, seed)
    x = torch.randn(200, 12, generator=torch.Generator().manual_seed(seed))
    y = model(x).argmax(1)
    normal = model.weight[1] - model.weight[0]
    dual = normal.abs().sum() if norm == "linf" else normal.norm()
    distance = (model(x)[:, 0] - model(x)[:, 1]).abs() / dual
    epsilon = float(distance.median())
    if name == "pgd":
        options = {**options, "steps": 25, "step_size": epsilon / 5}
    result = make(name, norm, options, epsilon=epsilon, low=-BIG, high=BIG)(model, x, y)
    clear = (distance - epsilon).abs() > 1e-4 * epsilon
    assert int(clear.sum()) >= 195
    assert result.success[clear].tolist() == (distance < epsilon)[clear].tolist()


@every_attack
def test_epsilon_zero_leaves_the_image(name, norm, options, curved, images) -> None:
    x, y = images
    assert torch.allclose(make(name, norm, options, epsilon=0.0)(curved, x, y).x_adv, x, atol=1e-7)


@every_attack
def test_passes_are_counted(name, norm, options, curved, images) -> None:
    x, y = images
    passed = []

    def spying(batch: Tensor) -> Tensor:
        passed.append(len(batch))
        return curved(batch)

    result = make(name, norm, options)(spying, x, y)
    if name == "fgsm":
        assert result.forwards.tolist() == [1.0] * 40
        assert result.backwards.tolist() == [1.0] * 40
    elif options.get("keep_going"):
        assert result.forwards.sum() == pytest.approx(40 * 11, rel=1e-5)
        assert result.backwards.sum() == pytest.approx(40 * 10, rel=1e-5)
    else:
        # fooled samples leave, so fewer pass than steps ask for; the padding of narrow batches is not counted
        most = options["steps"] * options.get("restarts", 1)
        assert 40 <= float(result.backwards.sum()) < 40 * most
        assert float(result.forwards.sum()) < sum(passed)


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


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"x": torch.zeros(2, 4, dtype=torch.uint8)}, "expected images as floats in [0, 1], found torch.uint8"),
        ({"x": torch.zeros(0, 4), "y": torch.zeros(0, dtype=torch.int64)}, "found an empty batch"),
        ({"x": torch.full((2, 4), 1.5)}, "expected inputs in [0, 1], found [1.5, 1.5]"),
        ({"x": torch.full((2, 4), torch.nan)}, "expected inputs in [0, 1], found [nan, nan]"),
        ({"y": torch.zeros(3, dtype=torch.int64)}, "expected labels of shape (2,), int64, found (3,)"),
        ({"y": torch.zeros(2)}, "expected labels of shape (2,), int64, found (2,), torch.float32"),
        ({"targets": torch.tensor([0, 1])}, "1 targets equal the label"),
    ],
)
def test_wrong_input_gets_a_sentence(change, sentence, linear) -> None:
    given = {"x": torch.zeros(2, 4), "y": torch.zeros(2, dtype=torch.int64), "targets": None, **change}
    with pytest.raises(AttackError) as caught:
        create("fgsm", norm="linf", epsilon=0.1)(linear(4, 3, 0), given["x"], given["y"], targets=given["targets"])
    assert sentence in str(caught.value)


def test_a_model_in_training_mode_is_refused(linear) -> None:
    with pytest.raises(AttackError, match="training mode"):
        create("fgsm", norm="linf", epsilon=0.1)(linear(4, 3, 0).train(), torch.zeros(2, 4), torch.zeros(2).long())
