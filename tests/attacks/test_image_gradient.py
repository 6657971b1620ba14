"""The quicker way to a first convolution's input gradient is the same gradient, and stays out of what it cannot do."""

from __future__ import annotations

import time
from contextlib import nullcontext
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd import forward_ad
from torch.utils.checkpoint import checkpoint

from bench.attacks import image_gradient
from bench.attacks.attack import create
from bench.attacks.image_gradient import QuickImageGradients


@pytest.fixture
def taken(monkeypatch) -> list[int]:
    """Batch sizes that went the other way."""
    calls, own = [], image_gradient.input_gradient_by_windows

    def noted(gradient, *rest):
        calls.append(len(gradient))
        return own(gradient, *rest)

    monkeypatch.setattr(image_gradient, "input_gradient_by_windows", noted)
    return calls


def gradient(model, x: torch.Tensor, quick: bool = True) -> torch.Tensor:
    with QuickImageGradients() if quick else nullcontext():
        point = x.clone().requires_grad_()
        return torch.autograd.grad(model(point).square().sum(), point)[0]


def hyper(conv: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    """Filters that depend on the images, one set for each of three experts, under vmap."""
    filters = torch.stack([conv.weight * (x.square().mean() + k) for k in range(3)])
    return torch.func.vmap(lambda each: F.conv2d(x, each))(filters)


def checkpointed(conv: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    return checkpoint(lambda x: conv(x).relu(), x, use_reentrant=False)


def routed(conv: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    """Experts for dark and bright images; no image is dark."""
    dark = x.mean((1, 2, 3)) < -1
    return torch.cat([conv(x[dark]), conv(x[~dark])])


def own_gradient(conv: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    """As some defences have it: the gradient is differentiated in turn."""
    return torch.autograd.grad(conv(x).pow(3).sum(), x, create_graph=True)[0]


def per_sample(conv: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    return torch.func.vmap(torch.func.grad(lambda one: conv(one[None]).pow(3).sum()))(x)


def forward_mode(conv: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    with forward_ad.dual_level():
        return forward_ad.unpack_dual(conv(forward_ad.make_dual(x, torch.ones_like(x))).pow(3)).tangent


def many_gradients(conv: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    out = conv(x).pow(3).sum((0, 2, 3))
    return torch.autograd.grad(out, x, torch.eye(len(out)), is_grads_batched=True, create_graph=True)[0]


def numpy_stride(conv: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    return F.conv2d(x, conv.weight, conv.bias, np.int64(2), padding=np.int64(1))


def under_autocast(conv: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return conv(x).float()


@pytest.mark.parametrize(
    "model",
    [
        hyper, checkpointed, routed, own_gradient, per_sample, forward_mode, many_gradients, numpy_stride,
        under_autocast,
    ],
)  # fmt: skip
def test_models_that_do_unusual_things_keep_their_gradient(model) -> None:
    conv = nn.Conv2d(1, 4, 3).requires_grad_(False)
    x = torch.rand(16, 1, 8, 8)
    expected = gradient(partial(model, conv), x, quick=False)
    assert torch.allclose(gradient(partial(model, conv), x), expected, atol=1e-5 * float(expected.abs().max()))


def test_a_first_layer_kept_out_of_autocast_keeps_its_precision() -> None:
    conv, x = nn.Conv2d(1, 4, 3).requires_grad_(False), torch.rand(16, 1, 8, 8)

    def model(x: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", enabled=False):
            return conv(x)

    expected = gradient(conv, x, quick=False)
    with torch.autocast("cpu", torch.bfloat16):
        found = gradient(model, x)
    assert torch.allclose(found, expected, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize(
    ("channels", "filters", "options"),
    [
        (1, 4, {"kernel_size": 3}),
        (1, 16, {"kernel_size": 4, "stride": 2, "padding": 1}),
        (1, 5, {"kernel_size": (3, 5), "stride": (2, 1), "padding": (0, 3)}),
        (1, 5, {"kernel_size": 7, "padding": 3, "padding_mode": "reflect", "bias": False}),
        (1, 2, {"kernel_size": 1}),
        (1, 3, {"kernel_size": 2, "stride": 3}),
        (1, 40, {"kernel_size": 7, "stride": 2, "padding": 3}),
    ],
)
def test_the_gradient_is_the_librarys(channels, filters, options, taken) -> None:
    conv = nn.Conv2d(channels, filters, **options).requires_grad_(False)
    x = torch.rand(37, channels, 14, 17)
    expected = gradient(conv, x, quick=False)
    assert torch.allclose(gradient(conv, x), expected, atol=1e-5 * float(expected.abs().max()))
    assert taken == [37]


@pytest.mark.parametrize(
    ("channels", "filters", "options"),
    [
        (2, 64, {"kernel_size": 3}),
        (3, 16, {"kernel_size": 3}),
        (1, 4, {"kernel_size": 8}),
        (1, 4, {"kernel_size": 3, "dilation": 2}),
        (1, 4, {"kernel_size": 3, "padding": "same"}),
        (2, 32, {"kernel_size": 3, "groups": 2}),
    ],
)
def test_other_convolutions_are_left_to_the_library(channels, filters, options, taken) -> None:
    conv = nn.Conv2d(channels, filters, **options).requires_grad_(False)
    x = torch.rand(16, channels, 14, 14)
    assert torch.equal(gradient(conv, x), gradient(conv, x, quick=False))
    assert taken == []


def test_filters_that_want_a_gradient_get_it(taken) -> None:
    conv, x = nn.Conv2d(1, 4, 3), torch.rand(16, 1, 8, 8).requires_grad_()
    with QuickImageGradients():
        loss = conv(x).square().sum()
    _, *weights = torch.autograd.grad(loss, [x, *conv.parameters()])
    assert all(float(each.abs().max()) > 0 for each in weights)
    assert taken == []


def test_doubles_and_unbatched_images_pass(taken) -> None:
    conv = nn.Conv2d(1, 4, 3).requires_grad_(False)
    assert gradient(conv, torch.rand(1, 8, 8)).shape == (1, 8, 8)
    assert gradient(conv.double(), torch.rand(2, 1, 8, 8).double()).dtype == torch.float64
    assert taken == []


@pytest.mark.parametrize("kind", ["compiled", "scripted"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_compiled_and_scripted_models_work(kind) -> None:
    conv = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(144, 10)).requires_grad_(False).eval()
    other = (
        torch.compile(conv, backend="eager") if kind == "compiled" else torch.jit.trace(conv, torch.rand(16, 1, 8, 8))
    )
    x, y = torch.rand(16, 1, 8, 8), torch.arange(16) % 10
    attack = create("pgd", norm="linf", epsilon=0.1, steps=3)
    assert torch.allclose(attack(other, x, y).x_adv, attack(conv, x, y).x_adv, atol=1e-5)


@pytest.mark.parametrize(("channels", "filters", "side"), [(1, 32, 3), (1, 6, 5), (1, 64, 7)])
def test_a_samples_gradient_does_not_depend_on_its_batch(channels, filters, side) -> None:
    conv = nn.Conv2d(channels, filters, side).requires_grad_(False)
    x = torch.rand(200, channels, 20, 20)
    whole = gradient(conv, x)
    for count in (16, 17, 38, 41, 113):
        assert torch.equal(gradient(conv, x[:count]), whole[:count])


def test_attacks_take_it_and_it_is_quicker(taken) -> None:
    conv = nn.Sequential(nn.Conv2d(1, 32, 5, padding=2), nn.Flatten(), nn.Linear(32 * 28 * 28, 10))
    conv.requires_grad_(False).eval()
    x = torch.rand(64, 1, 28, 28)
    create("fgsm", norm="linf", epsilon=0.1)(conv, x, torch.zeros(64).long())
    assert taken == [64]
    output = [torch.rand(64, 32, 28, 28), torch.rand(32, 1, 5, 5)]

    def seconds(action) -> float:
        took = []
        for _ in range(7):
            started = time.perf_counter()
            action()
            took.append(time.perf_counter() - started)
        return min(took)

    point = x.clone().requires_grad_()
    plain = F.conv2d(point, output[1], padding=2)
    library = seconds(lambda: torch.autograd.grad(plain, point, output[0], retain_graph=True))
    windows = seconds(lambda: image_gradient.input_gradient_by_windows(*output, (28, 28), (1, 1), (2, 2)))
    assert windows < library
