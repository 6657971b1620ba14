"""Controls of packing: what they hold equal, counted on the networks themselves."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from bench.errors import BenchError
from bench.models.gans import PackedDiscriminator
from bench.training.controls import JUDGES, controlled, judge_of_images, judge_of_points
from bench.training.packed_images import discriminator

POINTS: dict[str, Any] = {"packing": 3, "width": 40, "batch_size": 100, "learning_rate": 1e-4}
IMAGES: dict[str, Any] = {"packing": 2, "width": 4, "batch_size": 64, "judge": "small", "fresh": False}


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("packing", [1, 2, 4])
@pytest.mark.parametrize("width", [1, 30])
def test_parameters_are_counted_as_the_networks_have_them(packing: int, width: int) -> None:
    points = PackedDiscriminator(packing=packing, inputs=2, width=width)
    assert judge_of_points({"packing": packing, "width": width}, (2,)) == count(points)
    for judge in JUDGES:
        for channels, fresh in ((3, False), (1, True)):
            options = {"packing": packing, "width": width, "judge": judge, "fresh": fresh}
            network = discriminator(judge, inputs=3 * packing, size=28, width=width)
            assert judge_of_images(options, (channels, 28, 28)) == count(network)


def test_the_papers_discriminator_of_points() -> None:
    """405,201 parameters, and 2,000 more a further point."""
    assert [judge_of_points({"packing": m, "width": 200}, (2,)) for m in (1, 2, 3)] == [405_201, 407_201, 409_201]


@pytest.mark.parametrize(("recipe", "options", "shape"), [
    ("packed-gan", POINTS, (2,)), ("packed-images", IMAGES, (3, 28, 28)),
])  # fmt: skip
def test_each_control_holds_equal_what_it_says(recipe: str, options: dict[str, Any], shape: tuple[int, ...]) -> None:
    size = judge_of_points if recipe == "packed-gan" else judge_of_images
    packing, alone = options["packing"], {**options, "packing": 1}
    many = controlled("larger-minibatch", recipe, options, shape)
    assert many == {**alone, "batch_size": packing * options["batch_size"]}
    large = controlled("larger-discriminator", recipe, options, shape)
    assert {**large, "width": options["width"]} == alone
    assert size(large, shape) >= packing * size(alone, shape)
    assert size({**large, "width": large["width"] - 1}, shape) < packing * size(alone, shape), "and no larger"
    narrow = controlled("matched-parameters", recipe, options, shape)
    assert {**narrow, "width": options["width"]} == options
    assert size(narrow, shape) <= size(alone, shape)
    assert size({**narrow, "width": narrow["width"] + 1}, shape) > size(alone, shape), "and no smaller"


def test_controls_of_an_unpacked_gan_are_refused() -> None:
    with pytest.raises(BenchError, match="expected `packing` of 2 or more, found 1"):
        controlled("larger-minibatch", "packed-gan", {**POINTS, "packing": 1}, (2,))


def test_a_discriminator_that_cannot_be_small_enough_is_refused() -> None:
    with pytest.raises(BenchError, match="make it wider"):
        controlled("matched-parameters", "packed-gan", {**POINTS, "width": 1}, (2,))
