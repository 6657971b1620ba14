"""What is put around a network: what it sees then, what gradient it gives, and what names it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

from bench.defenses.around import defended
from bench.defenses.catalogue import DEFENSES
from bench.defenses.stage import substituting

if TYPE_CHECKING:
    from tests.conftest import Workshop

IMAGES = torch.rand(6, 1, 12, 12, generator=torch.Generator().manual_seed(0))


class Sum(nn.Module):
    """Two logits that are linear in the image."""

    def forward(self, x: Tensor) -> Tensor:
        total = x.flatten(1).sum(1)
        return torch.stack([total, -total], 1)


def gradient(model: Callable[[Tensor], Tensor], *, over: bool = False) -> Tensor:
    x = IMAGES.clone().requires_grad_()
    with substituting(over):
        return torch.autograd.grad(model(x)[:, 0].sum(), x)[0]


def seen(name: str, x: Tensor, **options: Any) -> Tensor:
    """What reaches the network."""
    return defended(nn.Identity(), name, options)(x)


def test_every_defense_answers_as_a_network_does() -> None:
    for name, entry in DEFENSES.items():
        answer = defended(Sum(), name, entry.options().model_dump())(IMAGES)
        assert (name, answer.shape, answer.dtype) == (name, (6, 2), torch.float32)


@pytest.mark.parametrize("levels", [2, 8, 256])
def test_quantised_inputs_are_the_nearest_levels(levels: int) -> None:
    found = seen("quantisation", IMAGES, levels=levels)
    allowed = torch.linspace(0, 1, levels)
    assert float((found[..., None] - allowed).abs().min(-1).values.max()) < 1e-6
    assert float((found - IMAGES).abs().max()) <= 0.5 / (levels - 1) + 1e-6


def test_images_of_eight_bits_pass_256_levels_as_they_are() -> None:
    images = torch.arange(256).reshape(1, 1, 16, 16) / 255
    assert torch.allclose(seen("quantisation", images, levels=256), images, atol=1e-7)


def test_a_thermometer_counts_the_thresholds_below() -> None:
    x = torch.tensor([[0.0, 0.05, 0.1, 0.11, 0.95, 1.0]])
    assert torch.allclose(seen("thermometer", x, levels=10), torch.tensor([[0.0, 0.1, 0.1, 0.2, 1.0, 1.0]]))


@pytest.mark.parametrize(("name", "over"), [("quantisation", 1.0), ("thermometer", 1.0), ("zero-gradient", 1.0)])
def test_an_attack_steps_over_declared_stages_alone(name: str, over: float) -> None:
    """Straight through, the gradient is that of the network itself: ones."""
    declared, hidden = (defended(Sum(), name, {"declared": declared}) for declared in (True, False))
    assert torch.equal(declared(IMAGES), hidden(IMAGES))
    assert torch.equal(gradient(declared, over=True), torch.full_like(IMAGES, over))
    for model in (declared, hidden):
        x = IMAGES.clone().requires_grad_()
        found = model(x)
        assert not found.requires_grad or not torch.autograd.grad(found.sum(), x)[0].any()
    if hidden(IMAGES.clone().requires_grad_()).requires_grad:
        assert not gradient(hidden, over=True).any()


def test_random_sizes_and_places() -> None:
    """Each pass another, within bounds, with zeros around it; all images of a pass alike."""
    torch.manual_seed(0)
    ones = torch.ones(3, 1, 20, 20)
    passes = [seen("random-resize", ones, smallest=0.5) for _ in range(60)]
    areas = [float((image[0] > 0.999).sum()) for image in passes]
    assert 100 <= min(areas) < 200
    assert 300 < max(areas) <= 400
    assert all(torch.equal(image[0], image[2]) for image in passes)
    corners = {(bool(image[0, 0, 0, 0] > 0), bool(image[0, 0, -1, -1] > 0)) for image in passes}
    assert len(corners) >= 3


def test_a_whole_size_changes_nothing() -> None:
    assert torch.allclose(seen("random-resize", IMAGES, smallest=1.0), IMAGES)


def test_logits() -> None:
    assert torch.allclose(defended(Sum(), "logit-scale", {"factor": 3.0})(IMAGES), 3 * Sum()(IMAGES))
    assert torch.allclose(defended(Sum(), "softmax-output", {})(IMAGES), Sum()(IMAGES).softmax(1))


OURS = """
import torch
from torch import nn


def darker(network, share=0.5):
    return lambda x: network(share * x)


def nothing(network):
    return None


def failing(network):
    raise ValueError("no such layer")
"""

DROPPY = """
import torch
from torch import nn


class Bright(nn.Module):
    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(1.0)

    def forward(self, x):
        ink = self.drop(x).flatten(1).mean(1)
        return torch.stack([ink - 0.15, -ink + 0.05, *[torch.full_like(ink, -1.0)] * 8], 1)


def model():
    return Bright().train()
"""

SUITE = """
suite: defended
data:
  train: {source: mnist, split: train, take: 500}
  mnist: {source: mnist, split: test, take: 40}
models:
  plain: {kind: classifier, arch: softmax, train: &plain {recipe: standard, data: train, epochs: 1}}
  other: {kind: classifier, arch: softmax, train: *plain, defenses: [DEFENSES]}
evaluations:
  wb: {kind: robustness, models: [plain, other], data: mnist, threat: {norm: linf, epsilon: 0.05}, attacks: [fgsm]}
"""


@pytest.fixture
def ours(workshop: Workshop) -> Workshop:
    workshop.module("ours", OURS)
    return workshop


class TestInASuite:
    def test_one_training_serves_both(self, ours: Workshop) -> None:
        run = ours.run(SUITE.replace("DEFENSES", "{quantisation: {levels: 2}}, logit-scale"))
        assert run.exit_code == 0, [row.message for row in run.rows]
        trained = [run.states[f"train/{name}/0"] for name in ("plain", "other")]
        assert trained[0].key == trained[1].key
        rows = ours.rows(run)
        figures = {name: rows[f"wb/{name}/fgsm/linf-0.05/robust_accuracy"].value for name in ("plain", "other")}
        assert figures["other"] > figures["plain"], "a gradient of zero leads nowhere"

    def test_its_options_are_of_the_key(self, ours: Workshop) -> None:
        keys = set()
        levels = ("quantisation", "{quantisation: {levels: 8}}", "{quantisation: {levels: 4}}")
        for defenses in ("", *levels, "logit-scale", "quantisation, logit-scale", "logit-scale, quantisation"):
            run = ours.run(SUITE.replace("DEFENSES", defenses))
            keys.add(run.states["attack/wb/other/0/fgsm/0"].key)
            plain = run.states["attack/wb/plain/0/fgsm/0"].key
            assert (defenses == "") == (run.states["attack/wb/other/0/fgsm/0"].key == plain)
        assert len(keys) == 6, "the default written out is the default"

    def test_a_users_own(self, ours: Workshop) -> None:
        run = ours.run(SUITE.replace("DEFENSES", '{"ours:darker": {share: 0.0}, as: dark}'))
        assert run.exit_code == 0, [row.message for row in run.rows]
        clean = ours.rows(run)["wb/other/clean/none/accuracy"]
        assert clean.value < 0.3, "all inputs are black"

    def test_a_network_inside_a_function_is_made_ready(self, ours: Workshop) -> None:
        """Dropout of everything: only in evaluation mode does the network answer what it was trained to."""
        ours.module("droppy", DROPPY)
        loaded = 'kind: classifier, load: "droppy:model"'
        text = SUITE.replace("kind: classifier, arch: softmax, train: *plain", loaded)
        text = text.replace(
            "kind: classifier, arch: softmax, train: &plain {recipe: standard, data: train, epochs: 1}", loaded
        )
        run = ours.run(text.replace("DEFENSES", '{"ours:darker": {share: 1.0}}'))
        rows = ours.rows(run)
        assert rows["wb/other/clean/none/accuracy"].value == rows["wb/plain/clean/none/accuracy"].value > 0.2

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("nothing", "defense 'ours:nothing' returned a NoneType; expected a module or another callable"),
            ("failing", "defense 'ours:failing' failed: ValueError: no such layer"),
        ],
    )
    def test_a_users_own_that_is_wrong(self, ours: Workshop, name: str, message: str) -> None:
        run = ours.run(SUITE.replace("DEFENSES", f'"ours:{name}"'))
        assert run.exit_code == 3
        assert ours.rows(run)["wb/other/clean/none/accuracy"].message == message
        assert ours.rows(run)["wb/plain/clean/none/accuracy"].status == "ok"
