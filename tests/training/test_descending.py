"""Gradient descent with momentum: schedules and steps redone by hand, and what must not matter."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.models.classifiers import softmax
from bench.models.maxout import maxout
from bench.randomness import forked_torch_seed
from bench.training.catalogue import RECIPES
from bench.training.common import TrainingData, TrainingLog, batches
from bench.training.descending import Descent, Judged, bound_columns, descend, sgd


def silent(_: float) -> None:
    """No progress."""


def noise(samples: int = 60) -> TrainingData:
    generator = torch.Generator().manual_seed(0)
    return TrainingData(torch.rand(samples, 1, 4, 4, generator=generator), torch.arange(samples) % 3)


def fresh(factory, **options) -> nn.Module:
    with forked_torch_seed(0):
        return factory(shape=(1, 4, 4), classes=3, **options)


def weights(model: nn.Module) -> Tensor:
    return torch.cat([value.flatten() for value in model.state_dict().values()])


def options(**given) -> dict[str, object]:
    return RECIPES["sgd"].options(**given).model_dump()


def test_the_momentum_of_the_paper_reaches_its_final_value_in_epoch_250() -> None:
    descent = Descent(300, 100, 0.1, momentum=0.5, final_momentum=0.7, momentum_epochs=250)
    assert [descent.momentum_in(epoch) for epoch in (0, 249, 299)] == pytest.approx([0.5, 0.7, 0.7])
    assert descent.momentum_in(83) == pytest.approx(0.5 + 0.2 / 3)
    assert Descent(3, 100, 0.1, momentum=0.5).momentum_in(2) == 0.5
    assert Descent(3, 100, 0.1, momentum=0.5, final_momentum=0.7).momentum_in(0) == 0.7


def test_the_rate_of_the_paper_falls_by_a_tenth_in_fifty_epochs() -> None:
    descent = Descent(50, 100, 0.1, decay=1.000004)
    assert descent.rate(0) == 0.1
    assert descent.rate(25_000) == pytest.approx(0.1 * 0.904837, rel=1e-5)  # exp(-0.1)


@pytest.mark.parametrize("nesterov", [False, True])
def test_the_trajectory_is_that_of_the_formula(nesterov: bool) -> None:
    """On the loss w^2 / 2, whose gradient is w: v <- m v + w; w <- w - rate (v, or w + m v for Nesterov's form)."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 2.0)
    descent = Descent(3, 5, 0.1, decay=1.5, momentum=0.2, final_momentum=0.8, momentum_epochs=3, nesterov=nesterov)
    seen: list[float] = []

    def judge(rows: Tensor) -> Judged:
        seen.append(model.weight.item())
        return Judged((model.weight**2).sum() / 2, {})

    descend(model, judge, 10, descent, seed=0, report=silent, log=TrainingLog())
    w, v, expected = 2.0, 0.0, []
    for step, momentum in enumerate((0.2, 0.2, 0.5, 0.5, 0.8, 0.8)):
        expected.append(w)
        v = momentum * v + w
        w -= 0.1 / 1.5**step * (w + momentum * v if nesterov else v)
    assert seen == pytest.approx(expected, rel=1e-5)


def test_bounded_columns_point_where_they_pointed() -> None:
    generator = torch.Generator().manual_seed(1)
    model = nn.Sequential(nn.Conv2d(2, 5, 3), nn.Linear(6, 4))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    bound_columns(model, 2.0)
    for name, value in model.state_dict().items():
        if name.endswith("bias"):
            assert torch.equal(value, before[name])
            continue
        old, new = before[name].flatten(1), value.flatten(1)
        torch.testing.assert_close(new.norm(dim=1), old.norm(dim=1).clamp(max=2.0))
        torch.testing.assert_close(F.cosine_similarity(old, new), torch.ones(len(old)))
        assert (old.norm(dim=1) > 2).any()


def test_the_bound_holds_after_every_step() -> None:
    model = fresh(maxout, hidden=[8], pieces=2, input_dropout=0.2, dropout=0.5)
    log = sgd(
        model, noise(), seed=0, report=silent, **options(epochs=3, batch_size=20, learning_rate=5, max_column_norm=0.7)
    )
    matrices = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    assert len(matrices) == 2
    for matrix in matrices:
        assert float(matrix.detach().norm(dim=1).max()) == pytest.approx(0.7, abs=1e-5), (
            "the rate is high: the bound is reached"
        )
    assert len(log.figures["loss"]) == 3


def test_one_step_is_gradient_descent() -> None:
    """The first step of the first batch, with the rate of step 0, and the figures of the log."""
    data, model, reference = noise(), fresh(softmax), fresh(softmax)
    log = sgd(model, data, seed=3, report=silent, **options(epochs=1, batch_size=60, learning_rate=0.4, decay=2))
    _, rows = next(batches(60, 60, epochs=1, seed=3))
    logits = reference(data.x[rows])
    loss = F.cross_entropy(logits, data.labels()[rows])
    loss.backward()
    for new, old in zip(model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(new, old - 0.4 * old.grad)
    assert log.figures["loss"] == [pytest.approx(loss.item(), abs=1e-5)]
    assert log.figures["accuracy"] == [
        pytest.approx((logits.argmax(1) == data.labels()[rows]).float().mean().item(), abs=1e-5)
    ]


def test_figures_of_an_epoch_count_every_sample_once() -> None:
    """Also the last batch, which is smaller: at a rate of almost 0 the epoch's loss is that of the whole set."""
    data, model = noise(50), fresh(softmax)
    with torch.no_grad():
        whole = F.cross_entropy(model(data.x), data.labels()).item()
    log = sgd(model, data, seed=0, report=silent, **options(epochs=2, batch_size=40, learning_rate=1e-9))
    assert log.figures["loss"] == pytest.approx([whole, whole], abs=2e-6)


def test_dropout_depends_on_the_seed_alone() -> None:
    def trained(seed: int) -> Tensor:
        model = fresh(maxout, hidden=[8], pieces=2, input_dropout=0.2, dropout=0.5)
        torch.rand(3)  # what was drawn before must not matter
        state = torch.get_rng_state()
        sgd(model, noise(), seed=seed, report=silent, **options(epochs=2, batch_size=20))
        assert torch.equal(torch.get_rng_state(), state), "and what is drawn later must not be changed"
        assert not model.training
        return weights(model)

    assert torch.equal(trained(1), trained(1))
    assert not torch.equal(trained(1), trained(2))


def test_progress_ends_at_one() -> None:
    shares: list[float] = []
    sgd(fresh(softmax), noise(), seed=0, report=shares.append, **options(epochs=2, batch_size=40))
    assert shares == pytest.approx([0.25, 0.5, 0.75, 1.0])
