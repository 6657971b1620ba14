"""What the page draws of modes over a training and of mode-collapse regions."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.engine.store import Record, Store, write_record
from bench.planning import path_digest
from bench.report import regions as drawing
from bench.report.histories import histories
from bench.report.page import write_page
from bench.report.records import Records
from bench.report.regions import regions
from bench.runner import Run, run
from bench.suite.inputs import Inputs
from bench.suite.jobs import Plan
from bench.suite.plan import make_plan

TRAIN = "{recipe: packed-gan, data: ring, iterations: 6, looks: 3, batch_size: 20, width: 8, packing: 2}"
METRICS = "[modes, {history: {least: 2}}, {collapse_region: {packs: 2}}, {history: {radius: 30}, as: wide}]"
CHANGES = [
    "models.gan.trials=2",
    f"models.other={{kind: generator, arch: {{gan-grid: {{width: 8}}}}, train: {TRAIN}}}",
    "evaluations.ring.models=[gan, other]",
    f"evaluations.ring.metrics={METRICS}",
]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory, ring_suite: str) -> tuple[Run, Plan]:
    folder = tmp_path_factory.mktemp("drawn")
    (folder / "drawn.yaml").write_text(ring_suite)
    places = {"out": folder / "out", "store": folder / "store"}
    done = run(folder / "drawn.yaml", CHANGES, **places, executor="inline", device="cpu")
    given = Inputs(done.suite, file_digest=path_digest, materialised={}, failures={})
    return done, make_plan(given, device="cpu")


def records(drawn: tuple[Run, Plan], **states: Any) -> Records:
    done, plan = drawn
    return Records(done.suite, plan, {**done.states, **states})


def test_each_model_has_a_heat_map_of_its_first_trial(drawn: Any) -> None:
    block = drawn[0].suite.evaluations["ring"]
    heats = {heat.model: heat for heat in histories(records(drawn), "ring", block)}
    assert list(heats) == ["gan", "other", "gan, wide", "other, wide"]
    assert heats["gan"].caption.endswith("at the last look. First of 2 trials.")
    assert heats["other"].caption.endswith("at the last look.")
    assert heats["other"].summary.startswith("after 2 iterations ")
    assert heats["other"].summary.count(";") == 2
    for words in (">iterations<", ">mode<", ">points near a mode<", ">8<", "<image", "currentColor"):
        assert words in (heats["gan"].figure or "")


def test_captions_say_what_is_seen(drawn: Any, tmp_path: Path) -> None:
    block = drawn[0].suite.evaluations["ring"]
    name = "measure/ring/other/0/history"

    def caption(histogram: list[list[int]], first: int | None, lost: int) -> str:
        arrays = {
            "iterations": np.arange(1, len(histogram) + 1) * 1000,
            "histogram": np.array(histogram),
            "outside": np.ones(len(histogram), np.int64),
        }
        meta = {"n": 9, "values": {"iterations_to_all_modes": first, "modes_lost": lost}}
        path = Store(tmp_path).path("measure", "record")
        write_record(path.parent, meta, arrays, kind="measure", key="record")
        state = replace(drawn[0].states[name], path=path)
        heats = histories(records(drawn, **{name: state}), "ring", block)
        return next(heat.caption for heat in heats if heat.model == "other")

    assert caption([[2] * 8, [2] * 7 + [1]], 1000, 1) == (
        "The modes are all hit first after 1,000 iterations; once a mode is lost from one look to the next; "
        "7 of 8 at the last look."
    ), "two points are a hit here, by the option `least`"
    assert caption([[0] * 8, [5] * 7 + [0]], None, 0) == (
        "The modes are never all hit at one look; no mode is lost from one look to the next; 7 of 8 at the last look."
    )
    assert "are all hit first after 1,250,000 iterations; " in caption([[2] * 8], 1_250_000, 0)
    assert "; 12 times a mode is lost from one look to the next; " in caption([[2] * 8], 1000, 12)


def test_all_models_regions_are_in_one_figure_with_real_data(drawn: Any) -> None:
    block = drawn[0].suite.evaluations["ring"]
    (found,) = regions(records(drawn), "ring", block)
    assert found.missing == ()
    for words in (">gan<", ">other<", ">real-data<", "stroke-dasharray"):
        assert words in (found.figure or "")
    parts = found.summary.split("; ")
    assert [part.partition(":")[0] for part in parts] == ["gan", "other", "real-data"]
    assert parts[0].count("0.") == 2, "both trials"
    figure = next(row for row in drawn[0].rows if row.row == "ring/real-data/ring/total_variation").value
    assert parts[2] == f"real-data: widest gap {figure:.4g}"


def test_the_page_has_both_and_says_never(drawn: Any) -> None:
    html = (drawn[0].folder / "report.html").read_text()
    section = html.partition('id="generators"')[2].partition("</section>")[0]
    assert section.count('role="img"') == 5
    assert "mode-collapse region of a model" in section
    assert 'xlink:href="data:image/png' in section


def test_figures_stand_below_their_picture_one_a_line(drawn: Any) -> None:
    html = (drawn[0].folder / "report.html").read_text()
    section = html.partition('id="generators"')[2].partition("</section>")[0]
    real, gan, other = section.split('<figure class="plot">')[1:4]
    lists = [re.findall(r"<dt>([^<]*)</dt><dd>([^<]*)</dd>", figure) for figure in (real, gan, other)]
    modes = ["modes", "high_quality", "reverse_kl", "reverse_kl_all", "jsd"]
    distances = ["total_variation", "total_variation_2"]
    trained = ["iterations_to_all_modes", "modes_lost"]
    assert [name for name, _ in lists[0]] == [*modes, *distances], "real data were not trained"
    assert [name for name, _ in lists[1]] == [*modes, *trained, *distances, *(f"wide-{each}" for each in trained)]
    assert dict(lists[1])["iterations_to_all_modes"] == "never"
    wanted = next(row for row in drawn[0].rows if row.row == "ring/other/ring/jsd").value
    assert dict(lists[2])["jsd"] == f"{wanted:.3g}"
    assert gan.index("<b>gan</b></figcaption>") < gan.index("<img ") < gan.index("<dl ")
    assert "figures below a picture" in section.lower()


def test_lost_records_are_named(drawn: Any, tmp_path: Path) -> None:
    done, plan = drawn
    gone = {name: replace(state, path=tmp_path / "gone") for name, state in done.states.items()}
    write_page(tmp_path / "report.html", done.suite, plan, gone, done.rows, done.findings, {})
    html = (tmp_path / "report.html").read_text()
    assert html.count("No heat map: the record of measure/ring/") == 4
    assert html.count("No line of ") == 3


def test_evaluations_without_them_have_no_room_for_them(tiny: Any) -> None:
    html = (tiny.folder / "report.html").read_text()
    assert "mode-collapse region of a model" not in html
    assert "Modes while a model was trained" not in html


def test_a_training_with_many_looks_and_modes_stays_small(drawn: Any) -> None:
    from bench.data.mixtures import modes_of
    from bench.report.histories import _draw

    random = np.random.default_rng(0)
    shares = modes_of("grid25").shares
    histogram = random.multinomial(2000, shares, 400)
    arrays = Record({}, {"iterations": np.arange(400), "histogram": histogram, "outside": np.full(400, 500)}).arrays
    assert len(_draw("big", arrays, shares)) < 60_000


def test_long_names_leave_the_axes_of_regions_their_size() -> None:
    """Names stand below the axes: beside them, they left no room."""
    meta = {"values": {"total_variation": 0.5}}
    record = Record(meta, {"epsilon": np.array([0.0, 0.0, 1.0]), "delta": np.array([0.0, 0.5, 1.0])})
    spans = []
    for name in ("a", "ring-pacgan2-larger-discriminator-and-more"):
        drawn = str(drawing._draw("x", {name: [record], "real-data": [record]}))
        ticks = [float(x) for x in re.findall(r'<use xlink:href="#[^"]*" x="([\d.]+)"', drawn)]
        spans.append(max(ticks) - min(ticks))
    assert spans[0] == pytest.approx(spans[1], rel=0.01)
    assert spans[0] > 150
