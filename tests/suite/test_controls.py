"""Controls of packed GANs in a suite: one line, further models, further rows."""

from __future__ import annotations

import pytest

from bench import run
from bench.errors import SuiteError
from bench.suite import names
from bench.suite.check import check

SUITE = """
suite: packing
data:
  ring: {source: ring8, samples: 1000}
  mine: {source: npz, path: points.npz}
models:
  gan:  {kind: generator, arch: gan-grid, train: {recipe: packed-gan, data: ring}}
  pac2: {kind: generator, arch: gan-grid, trials: 3, controls: CONTROLS,
         train: {recipe: packed-gan, data: ring, packing: 2}}
evaluations:
  ring: {kind: generation, models: [gan, pac2], data: ring, metrics: [modes]}
quoted:
  - {row: ring/pac2-larger-minibatch/ring/modes, value: 8, source: somewhere}
"""
ALL = "[larger-discriminator, larger-minibatch, matched-parameters]"


def test_each_control_is_a_model_with_rows() -> None:
    made = check(SUITE.replace("CONTROLS", ALL), "packing.yaml")
    models = ["gan", "pac2", "pac2-larger-discriminator", "pac2-larger-minibatch", "pac2-matched-parameters"]
    assert list(made.models) == models
    assert made.evaluations["ring"].models == models
    assert {f"ring/{name}/ring/modes" for name in models} <= set(names.all_rows(made))
    recipes = [made.models[name].recipe.options for name in models]
    assert [options["packing"] for options in recipes] == [1, 2, 1, 1, 2]
    assert [options["batch_size"] for options in recipes] == [100, 100, 100, 200, 100]
    assert [options["width"] for options in recipes] == [200, 200, 284, 200, 199]
    assert [made.models[name].block.trials for name in models] == [1, 3, 3, 3, 3]


def test_a_control_is_trained_and_measured(tmp_path) -> None:
    text = SUITE.replace("CONTROLS", "[larger-minibatch]").replace("data: ring", "data: ring, iterations: 3, width: 4")
    text = text.replace("data: ring, iterations: 3, width: 4, metrics", "data: ring, samples: 50, metrics")
    file = tmp_path / "packing.yaml"
    file.write_text(text.replace("trials: 3", "trials: 1").replace("  mine: {source: npz, path: points.npz}\n", ""))
    done = run(file, out=tmp_path / "out", store=tmp_path / "store", device="cpu")
    board = done.leaderboard.set_index("row")
    assert board.loc["ring/pac2-larger-minibatch/ring/modes", "status"] == "ok"
    assert board.loc["ring/pac2-larger-minibatch/ring/modes", "quoted"] == 8


@pytest.mark.parametrize(("old", "new", "said"), [
    ("CONTROLS", "[larger-batch]", "models.pac2.controls.0: expected 'larger-discriminator', 'larger-minibatch' or"),
    ("CONTROLS", "[larger-minibatch, larger-minibatch]", "controls.1: the control 'larger-minibatch' is listed twice"),
    ("packing: 2", "packing: 1", "controls are of a packed GAN; expected `packing` of 2 or more, found 1"),
    ("train: {recipe: packed-gan, data: ring, packing: 2}", "weights: w.safetensors", "it is not trained here"),
    ("data: ring, packing: 2", "data: mine, packing: 2", "data source 'npz' is not known before it is read; write the"),
    ("  gan: ", "  pac2-larger-minibatch: ", "'pac2-larger-minibatch', which is another model; rename that one"),
    ("packed-gan, data: ring, p", "packed-images, data: ring, p", "'packed-images' is a recipe of images"),
    ("pac2", "a-packed-gan-with-quite-a-long-name", "expected a name of at most 40 characters, found 52"),
])  # fmt: skip
def test_what_cannot_be_controlled_is_said(old: str, new: str, said: str) -> None:
    text = SUITE.replace("trials: 3, ", "").replace(old, new).replace("CONTROLS", "[larger-minibatch]")
    with pytest.raises(SuiteError) as caught:
        check(text.partition("quoted:")[0].replace("models: [gan,", "models: ["), "packing.yaml")
    assert said in str(caught.value)


LARGER = SUITE.replace("trials: 3, ", "").replace("CONTROLS", "[matched-parameters, larger-minibatch]")
TOO_LARGE = (
    "packing.yaml:8:74: models.pac2.controls.1: 'larger-minibatch' takes 2 x 100 = 200 samples a step, more than the "
    "{} of data 'ring'; lower `batch_size` in `train:`, give the model more data, or leave this control out"
)


@pytest.mark.parametrize(("old", "new", "count"), [
    ("samples: 1000", "samples: 199", 199),
    ("samples: 1000", "samples: 1000, take: 150", 150),
    ("samples: 1000", "samples: 1000, skip: 850, take: 400", 150),
])  # fmt: skip
def test_a_batch_larger_than_the_data_is_found_before_a_run(mistakes, old: str, new: str, count: int) -> None:
    found = [each.replace("s.yaml", "packing.yaml") for each in mistakes(LARGER.replace(old, new))]
    assert found == [TOO_LARGE.format(count)]
    assert mistakes(LARGER.replace(old, new), "models.pac2.train.batch_size=20") == []


def test_a_batch_as_large_as_the_data_is_none_too_large(mistakes) -> None:
    assert mistakes(LARGER.replace("samples: 1000", "samples: 200")) == []
    assert mistakes(LARGER.replace("samples: 1000", "samples: 1000, skip: 1000")) == [], "a mistake of its own"


def test_images_stacked_anew_are_never_too_few(mistakes) -> None:
    text = LARGER.replace("{source: ring8, samples: 1000}", "{source: mnist, split: test, take: 150}")
    text = text.replace("packed-gan", "packed-images").replace("metrics: [modes]", "metrics: [frechet]")
    text = text.replace("/modes,", "/frechet,").replace("packing: 2", "packing: 2, batch_size: 100, fresh: FRESH")
    assert mistakes(text.replace("FRESH", "true")) == []
    (found,) = mistakes(text.replace("FRESH", "false"))
    assert "200 samples a step, more than the 150 of data 'ring'" in found
