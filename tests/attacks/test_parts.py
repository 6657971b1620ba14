"""The parts attacks are made of."""

from __future__ import annotations

import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.attacks.draws import Draws
from bench.attacks.goal import Goal
from bench.attacks.noise import random_point
from bench.attacks.padding import call_padded, least_rows
from bench.attacks.threat import Threat, sizes
from bench.attacks.verify import verify
from bench.engine.work.classify import choose_targets
from bench.errors import ModelError


def test_draws_are_uniform_and_independent_between_samples_and_streams() -> None:
    draws = Draws(torch.arange(200))
    values = draws.uniform((500,), 0)
    assert scipy.stats.kstest(values.flatten().numpy(), "uniform").pvalue > 1e-3
    other = draws.uniform((500,), 1)
    assert abs(float(torch.corrcoef(torch.stack([values.flatten(), other.flatten()]))[0, 1])) < 0.01
    between = torch.corrcoef(values)
    assert float((between - torch.eye(200)).abs().max()) < 0.25
    within = torch.corrcoef(values.T)
    assert float((within - torch.eye(500)).abs().mean()) < 0.07


def test_normal_draws_are_normal() -> None:
    values = Draws(torch.arange(50)).normal((1000,), 3).flatten().numpy()
    assert scipy.stats.kstest(values, "norm").pvalue > 1e-3


def test_draws_are_the_numbers_of_splitmix64() -> None:
    """The first outputs of SplitMix64 seeded with 1234567, as published with its reference implementation."""
    mask = (1 << 64) - 1

    def mix(z: int) -> int:
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return z ^ (z >> 31)

    golden = 0x9E3779B97F4A7C15
    assert mix((1234567 + golden) & mask) == 6457827717110365317
    seed, stream = 42, 2
    state = mix((seed + golden * (stream + 1)) & mask)
    expected = [(mix((state + golden * j) & mask) >> 40) * 2.0**-24 for j in (1, 2, 3)]
    assert Draws(torch.tensor([seed])).uniform((3,), stream)[0].tolist() == pytest.approx(expected, abs=0)


@given(st.integers(0, 2**31), st.sampled_from(["linf", "l2", "l1"]), st.floats(0, 2))
@settings(max_examples=50, deadline=None)
def test_projection_is_idempotent_and_inside(seed, norm, epsilon) -> None:
    generator = torch.Generator().manual_seed(seed)
    origin = torch.rand(5, 3, 2, generator=generator)
    threat = Threat(norm, epsilon)
    point = threat.project(origin + torch.randn(5, 3, 2, generator=generator), origin)
    assert float(sizes(point - origin, norm).max()) <= epsilon + 1e-5
    assert float(point.min()) >= 0
    assert float(point.max()) <= 1
    assert torch.allclose(threat.project(point, origin), point, atol=1e-6)


def test_random_starts_fill_the_ball() -> None:
    x = torch.full((4000, 3), 0.5)
    draws = Draws(torch.arange(4000))
    cube = random_point(x, Threat("linf", 0.2, -9, 9), draws, 0) - x
    assert scipy.stats.kstest((cube.flatten() / 0.4 + 0.5).numpy(), "uniform").pvalue > 1e-3
    ball = random_point(x, Threat("l2", 0.2, -9, 9), draws, 0) - x
    # the radius of a uniform point of a 3-ball has distribution function r^3
    assert scipy.stats.kstest(((sizes(ball, "l2") / 0.2) ** 3).numpy(), "uniform").pvalue > 1e-3
    assert not torch.equal(ball, random_point(x, Threat("l2", 0.2, -9, 9), draws, 1) - x)


def test_margins_tell_the_goal() -> None:
    logits = torch.tensor([[2.0, 1.0, 0.0], [0.0, 3.0, 1.0]])
    labels = torch.tensor([0, 0])
    assert Goal(labels).margin(logits).tolist() == [-1.0, 3.0]
    assert Goal(labels, torch.tensor([1, 1])).margin(logits).tolist() == [-1.0, 2.0]


def test_the_choice_of_targets() -> None:
    logits = torch.tensor([[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]])
    y = torch.tensor([0, 2])
    assert choose_targets("none", logits, y, [0, 0]) is None
    assert choose_targets("next", logits, y, [0, 0]).tolist() == [1, 0]
    assert choose_targets("least-likely", logits, y, [0, 0]).tolist() == [1, 0]
    chosen = torch.stack([choose_targets("random", logits, y, [seed, seed + 7]) for seed in range(20)])
    assert set(chosen[:, 0].tolist()) == {1, 2}
    assert set(chosen[:, 1].tolist()) == {0, 1}


def test_verification_refuses_what_is_outside() -> None:
    x = torch.full((6, 2), 0.5)
    y = torch.zeros(6, dtype=torch.int64)
    examples = x.clone()
    examples[1] += 0.11  # outside the ball
    examples[2, 0] = torch.nan
    examples[3, 0] = torch.inf
    examples[4] += 0.09  # inside, and wrong
    examples[5] -= 0.09  # inside, and right

    def model(batch: torch.Tensor) -> torch.Tensor:
        return torch.stack([torch.full((len(batch),), 0.55), batch[:, 0]], 1)

    found = verify(model, x, y, examples, threat=Threat("linf", 0.1))
    assert found.valid.tolist() == [True, False, False, False, True, True]
    assert found.reached.tolist() == [False, False, False, False, True, False]
    assert float(found.margin[4]) == pytest.approx(0.04, abs=1e-6)
    assert float(found.distance[5]) == pytest.approx(0.09, abs=1e-6)
    boxed = verify(model, x, y, torch.full((6, 2), 1.01), threat=Threat("linf", 9.0))
    assert not bool(boxed.valid.any())


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        (lambda x: x.sum(1), r"expected the model to return logits of shape \(3, classes\), found \(3,\)"),
        (lambda _: torch.zeros(3, 2), "the model returns 2 classes, but the data has labels up to 2"),
        (lambda _: torch.full((3, 4), torch.nan), "the model returned NaN or infinite logits for 3 of 3 inputs"),
        (lambda _: [1, 2, 3], "found list"),
    ],
)
def test_outputs_that_are_no_logits_get_a_sentence(output, sentence) -> None:
    x = torch.zeros(3, 2)
    with pytest.raises(ModelError, match=sentence):
        verify(lambda batch: output(batch[:3]), x, torch.arange(3), x, threat=Threat("linf", 0.1))


def test_padding_makes_matrix_products_independent_of_the_batch() -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(784, 200, generator=generator)
    x = torch.randn(300, 784, generator=generator)
    whole = call_padded(lambda batch: batch @ weight, x)
    for size in (1, 2, 3, 5, 7, 16, 33, 97):
        parts = torch.cat([call_padded(lambda batch: batch @ weight, x[i : i + size]) for i in range(0, 300, size)])
        assert torch.equal(parts, whole)


def test_padding_passes_gradients_to_the_samples_alone() -> None:
    x = torch.ones(2, 3, requires_grad=True)
    call_padded(lambda batch: batch.square(), x).sum().backward()
    assert torch.equal(x.grad, torch.full((2, 3), 2.0))
    assert least_rows(torch.device("cpu")) >= 16
