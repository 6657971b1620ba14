"""Architectures of classifiers: what they compute, their sizes, how they begin."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench.models.catalogue import MODELS
from bench.models.classifiers import cnn_pooled, logistic
from bench.models.maxout import Blanking, Maxout, maxout
from bench.randomness import forked_torch_seed

CLASSIFIERS = [name for name in MODELS if MODELS[name].traits["kind"] == "classifier"]


def digits(count: int) -> torch.Tensor:
    return torch.rand(count, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def built(name: str, **options) -> nn.Module:
    with forked_torch_seed(0):
        return MODELS[name].load()(**MODELS[name].options(**options).model_dump()).eval()


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_images_give_finite_logits_and_gradients(name: str) -> None:
    model, x = built(name), digits(3).requires_grad_()
    logits = model(x)
    assert logits.shape == (3, 2 if name == "logistic" else 10)
    assert torch.isfinite(logits).all()
    (gradient,) = torch.autograd.grad(logits[:, 1].sum(), x)
    assert (gradient != 0).flatten(1).any(1).all()


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_sample_is_judged_by_itself(name: str) -> None:
    model, x = built(name), digits(40)
    with torch.no_grad():
        torch.testing.assert_close(model(x)[7:24], model(x[7:24]))


def test_the_softmax_of_logistic_regression_is_the_logistic_function() -> None:
    model, x = logistic(shape=(1, 4, 4)), digits(5)[..., :4, :4]
    z = x.flatten(1) @ model.head.weight[0] + model.head.bias
    torch.testing.assert_close(model(x).softmax(1)[:, 1], z.sigmoid())
    assert count(model) == 17
    assert model.features(x).shape == (5, 16)


def test_a_maxout_unit_is_the_largest_of_its_pieces() -> None:
    layer = Maxout(inputs=6, units=4, pieces=3)
    x = torch.randn(5, 6, generator=torch.Generator().manual_seed(0))
    units = layer.linear.weight.reshape(4, 3, 6)
    biases = layer.linear.bias.reshape(4, 3)
    for unit in range(4):
        expected = torch.stack([x @ units[unit, piece] + biases[unit, piece] for piece in range(3)]).amax(0)
        torch.testing.assert_close(layer(x)[:, unit], expected)


def test_the_maxout_network_is_that_of_the_paper() -> None:
    """784-240-240-10 with 5 pieces: weights in U(-0.005, 0.005), biases 0."""
    model = built("maxout")
    assert count(model) == (784 + 1) * 1200 + (240 + 1) * 1200 + (240 + 1) * 10
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any()
        else:
            assert 0.0049 < float(parameter.detach().abs().max()) <= 0.005
            assert float(parameter.detach().std()) == pytest.approx(0.005 / 3**0.5, rel=0.05)


def test_pixels_are_blanked_while_training_alone_and_not_scaled() -> None:
    x = torch.ones(200, 50)
    layer = Blanking(0.2)
    assert torch.equal(layer.eval()(x), x)
    with forked_torch_seed(0):
        seen = layer.train()(x)
    assert set(seen.unique().tolist()) == {0.0, 1.0}
    assert float(seen.mean()) == pytest.approx(0.8, abs=0.02)
    assert torch.equal(Blanking(0).train()(x), x)


def test_dropout_of_the_maxout_network_is_off_in_use() -> None:
    model = maxout(shape=(1, 28, 28), classes=10, hidden=[8], pieces=2, input_dropout=0.2, dropout=0.5)
    x = digits(4)
    assert torch.equal(model.eval()(x), model(x))
    assert not torch.equal(model.train()(x), model(x))


def test_the_pooled_network_is_that_of_the_paper() -> None:
    """Convolutions 32-32-64-64 of 3x3, layers of 1024-200-200-10."""
    convolutions = 9 * (1 * 32 + 32 * 32 + 32 * 64 + 64 * 64) + 32 + 32 + 64 + 64
    layers = (1024 + 1) * 200 + (200 + 1) * 200 + (200 + 1) * 10
    assert count(built("cnn-pooled")) == convolutions + layers


@pytest.mark.parametrize("side", [16, 17, 28, 32])
def test_the_pooled_network_takes_images_of_other_sizes(side: int) -> None:
    model = cnn_pooled(shape=(3, side, side + 1), classes=4, width=4, dropout=0.0)
    assert model(torch.rand(2, 3, side, side + 1)).shape == (2, 4)
