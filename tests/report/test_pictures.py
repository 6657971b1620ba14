"""Pictures and figures in the page of a real, tiny run."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from bench.data import load_named
from bench.report import images
from bench.report.gallery import Example, gallery
from bench.report.generated import panels
from bench.report.page import write_page
from bench.report.records import Records
from bench.report.redirected import sheets
from bench.suite.inputs import Inputs
from bench.suite.plan import make_plan


@pytest.fixture(scope="module")
def plan(tiny: Any) -> Any:
    from bench.planning import path_digest

    return make_plan(
        Inputs(tiny.suite, file_digest=path_digest, materialised={}, failures={}),
        device="cpu",
    )


@pytest.fixture
def records(tiny: Any, plan: Any) -> Records:
    return Records(tiny.suite, plan, tiny.states)


def pixels(uri: str) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


def of(found: Any, evaluation: str, attack: str = "fgsm") -> Any:
    (strip,) = [strip for strip in found.strips if (strip.evaluation, strip.attack) == (evaluation, attack)]
    return strip


def test_everything_ran(tiny: Any) -> None:
    assert {row.status for row in tiny.rows} == {"ok"}
    html = (tiny.folder / "report.html").read_text()
    assert len(html) < 600_000


def test_gallery_shows_the_clean_sample_the_example_and_their_difference(records: Records) -> None:
    strip = of(gallery(records), "wb", "pgd")
    data = load_named("mnist", split="test", take=60)
    ids = list(data.ids)
    assert {shown.broken for shown in strip.examples} == {True, False}
    for shown in strip.examples:
        clean, moved = pixels(shown.clean).astype(float), pixels(shown.adversarial).astype(float)
        index = ids.index(shown.sample)
        assert (clean == data.x[index, 0]).all()
        assert shown.label == data.y[index]
        assert np.abs(moved - clean).max() == pytest.approx(255 * shown.distance, abs=0.51)
        grey = 127.5 + strip.factor * (moved - clean)
        assert np.abs(pixels(shown.difference) - grey).max() <= strip.factor + 1
    assert strip.factor * 0.04 <= 0.5


def test_gallery_shows_broken_and_standing_samples_in_the_order_of_the_data(records: Records) -> None:
    shown: tuple[Example, ...] = of(gallery(records), "wb").examples
    for broken in (True, False):
        ids = [example.sample for example in shown if example.broken is broken]
        assert ids == sorted(ids)
    assert [example.broken for example in shown] == sorted((example.broken for example in shown), reverse=True)


def test_a_full_page_says_what_it_leaves_out(
    records: Records, tiny: Any, plan: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.report.gallery.BYTES", 1)
    full = gallery(records)
    assert (len(full.strips), full.left_out) == (1, 3)
    write_page(tmp_path / "report.html", tiny.suite, plan, tiny.states, tiny.rows, tiny.findings, {})
    assert "3 more models and attacks are not shown" in (tmp_path / "report.html").read_text()


def test_evaluations_keep_the_order_of_the_suite(records: Records) -> None:
    groups = gallery(records).evaluations
    assert [[strip.evaluation for strip in group] for group in groups] == [["wb", "wb"], ["rgb"], ["flat"]]


def test_colour_images_keep_their_shape(records: Records) -> None:
    strip = of(gallery(records), "rgb")
    assert strip.examples
    assert pixels(strip.examples[0].clean).shape == (6, 4, 3)


def test_vectors_are_no_images_and_the_page_says_so(records: Records, tiny: Any) -> None:
    assert "are not images" in of(gallery(records), "flat").missing
    assert "samples of shape (7, 1, 1) are not images" in (tiny.folder / "report.html").read_text()


def test_data_that_changed_since_the_run_are_not_shown(records: Records) -> None:
    data = records.samples("mnist")
    records._samples["mnist"] = replace(data, x=data.x[::-1])
    strip = of(gallery(records), "wb")
    assert strip.examples == ()
    assert "no longer what was attacked" in strip.missing


def test_lost_records_do_not_break_the_page(tiny: Any, plan: Any, tmp_path: Any) -> None:
    nowhere = tmp_path / "gone"
    states = {name: replace(state, path=nowhere) for name, state in tiny.states.items()}
    write_page(tmp_path / "report.html", tiny.suite, plan, states, tiny.rows, tiny.findings, {})
    html = (tmp_path / "report.html").read_text()
    assert html.count("cannot be read") >= 5
    assert "<img" not in html


def test_autoencoder_sheet(records: Records) -> None:
    (sheet,) = sheets(records)
    assert sheet.trade_offs == ("0.1", "1")
    assert len(sheet.pairs) == 3
    data = load_named("mnist", split="test", take=60)
    for index, pair in enumerate(sheet.pairs):
        assert (pixels(pair.origin) == data.x[index, 0]).all()
        assert len(pair.moved) == 2
        origin, target, moved = (pixels(uri).astype(float) for uri in (pair.origin, pair.target, pair.moved[0].image))
        distortion = np.linalg.norm(moved - origin) / np.linalg.norm(target - origin)
        assert distortion == pytest.approx(pair.moved[0].input_distortion, abs=0.005)


def test_points_and_images_of_generators(records: Records) -> None:
    points, digits = panels(records)
    assert points.points
    assert points.modes == 25
    real, gan = points.drawn
    assert (real.model, gan.model) == ("real-data", "gan")
    assert real.figures[0] == ("modes", "25")
    assert real.figures[1][0] == "high_quality"
    assert real.figures[1][1].startswith("0.9")
    assert gan.note.startswith("First of 2 trials")
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(real.picture.partition(",")[2]))))
    assert picture.shape[0] == picture.shape[1]
    assert not digits.points
    assert [drawn.model for drawn in digits.drawn] == ["real-data", "vae"]
    assert [name for name, _ in digits.drawn[0].figures] == ["gap"]
    assert pixels(digits.drawn[0].picture).shape == (3 * 29 - 1, 10 * 29 - 1)


def test_a_figure_of_the_leaderboard_is_the_csv_s(tiny: Any) -> None:
    html = (tiny.folder / "report.html").read_text()
    table = json.loads(html.partition('id="rows">')[2].partition("</script>")[0])
    assert table["count"] == len(tiny.rows)
    values = [row.value for row in tiny.rows]
    assert table["data"]["value"] == pytest.approx(values, rel=1e-8)


@pytest.mark.parametrize("channels", [1, 3])
def test_large_images_are_averaged_down(channels: int) -> None:
    picture = np.zeros((400, 200, channels), np.uint8)
    picture[:200] = 200
    small = pixels(images.uri(picture))
    assert small.shape[:2] == (96, 48)
    assert small[:40].min() == 200
    assert small[60:].max() == 0


def test_values_that_are_not_finite_have_a_colour() -> None:
    values = np.array([np.nan, np.inf, -np.inf, 0.5])
    assert images.to_pixels(values, 0, 1).tolist() == [0, 255, 0, 128]
    assert images.difference_pixels(np.array([0.0, np.nan]), 5, 1).tolist() == [128, 0]


def test_unbounded_data_are_shown_over_their_own_range() -> None:
    values = np.array([[-4.0, np.nan], [2.0, 0.0]])
    assert images.value_range((-np.inf, np.inf), values) == (-4.0, 2.0)
    assert images.value_range(None, values) == (-4.0, 2.0)
    assert images.value_range((0.0, 1.0), values) == (0.0, 1.0)
