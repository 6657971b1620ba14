"""The page without a browser: what it holds, and what it must not."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from html.parser import HTMLParser
from typing import Any

import pytest

from bench.report import board, ranking
from bench.report.curves import curves
from bench.results.row import Row
from bench.results.rows import NOT_ASKED


class Addresses(HTMLParser):
    """Collects what a page points at."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pointing = ("src", "srcset", "href", "xlink:href", "action", "poster", "background")
        self.found += [value or "" for name, value in attrs if name in pointing or (tag, name) == ("object", "data")]


def table_of(html: str) -> dict[str, Any]:
    block = re.search(r'<script type="application/json" id="rows">(.*?)</script>', html, re.DOTALL)
    assert block is not None
    return json.loads(block[1])


def column(table: dict[str, Any], key: str) -> list[Any]:
    data = table["data"][key]
    return [data["pool"][index] for index in data["index"]] if isinstance(data, dict) else data


def filled(index: int, _: Row) -> dict[str, Any]:
    value = 0.9 - 0.01 * index
    return {"status": "ok", "message": "", "value": value, "low": value - 0.02, "high": value + 0.02, "n": 1000}


def test_page_loads_nothing(paper: Any) -> None:
    html = paper.write(paper.changed(filled)).read_text()
    addresses = Addresses()
    addresses.feed(html)
    assert len(addresses.found) > 5
    assert [address for address in addresses.found if not address.startswith(("#", "data:"))] == []
    assert re.findall(r"@import|url\((?!#)", html) == []
    assert "http" not in re.sub(r"http-equiv|https?://www\.w3\.org/\d+/(svg|xlink)", "", html)
    assert "default-src 'none'" in html


def test_the_page_needs_no_torch() -> None:
    code = "import sys, bench.report.page; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_missing_data_are_named_where_pictures_would_be(paper_of: Any) -> None:
    lost = paper_of("""
suite: lost
data: {mine: {source: npz, path: nowhere.npz}}
models: {ours: {kind: classifier, load: "math:sqrt"}}
evaluations:
  wb: {kind: robustness, models: [ours], data: mine, threat: {norm: linf, epsilon: 0.1}, attacks: [fgsm]}
""")
    section = lost.write().read_text().partition('id="gallery"')[2].partition("</section>")[0]
    assert "nowhere.npz" in section


def test_only_a_targeted_suite_speaks_of_targets(paper: Any, paper_of: Any) -> None:
    words = "only reaching it counts as breaking"
    assert words not in paper.write().read_text()
    text = paper.suite.text.replace("epsilon: [0.1, 0.3]", "epsilon: [0.1, 0.3], target: next")
    text = text.replace("linf-0.3/", "linf-0.3-next/")
    aimed = paper_of(text)
    assert words in aimed.write(aimed.changed(filled)).read_text()
    (plot,) = curves(aimed.suite, aimed.changed(filled))
    assert "linf radius ε, target next" in plot.figure


def test_a_hostile_message_stays_text(paper: Any) -> None:
    hostile = "</script><script>alert(1)</script><img src=x onerror=alert(2)>'\"&\u2028"
    html = paper.write(paper.changed(lambda *_: {"status": "failed", "message": hostile, "model": hostile})).read_text()
    assert "<script>alert" not in html
    assert "<img src=x" not in html
    assert set(column(table_of(html), "message")) == {hostile}
    assert html.count("<script") == html.count("</script>") == 2
    assert "<b>none</b>" not in html
    assert "<i>Table 1</i>" not in html


def test_the_script_is_the_one_the_page_allows(paper: Any) -> None:
    import base64
    import hashlib

    html = paper.write().read_text()
    script = html.rpartition("<script>")[2].partition("</script>")[0]
    allowed = re.search(r"script-src 'sha256-([^']*)'", html)
    assert allowed is not None
    assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() == allowed[1]


def test_page_of_a_run_in_which_everything_failed(paper: Any) -> None:
    rows = paper.changed(lambda *_: {"status": "failed", "message": "the weights have the wrong shape"})
    html = paper.write(rows).read_text()
    assert f"{len(rows)} of {len(rows)} rows have no figure because something went wrong" in html
    assert html.count("the weights have the wrong shape") > 3
    assert "0 of 1 met" in html
    for section in ("ranking", "leaderboard", "transfer", "gallery", "autoencoders", "generators", "provenance"):
        assert f'id="{section}"' in html
    assert 'id="curves"' not in html


def test_page_of_nothing_but_not_a_number(paper: Any) -> None:
    rows = paper.changed(lambda *_: {"status": "ok", "message": ""})
    table = table_of(paper.write(rows).read_text())
    assert "value" not in table["data"]
    assert table["count"] == len(rows)


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        ({"only": "wb/*"}, "Only rows that match “wb/*” were run"),
        ({"state": "interrupted"}, "The run was interrupted"),
        ({}, "rows were not run"),
    ],
)
def test_a_partial_run_says_so(paper: Any, record: dict[str, Any], sentence: str) -> None:
    assert sentence in paper.write(**record).read_text()


def test_a_whole_run_has_no_notice(paper: Any) -> None:
    assert 'class="notice" role="status"' not in paper.write(paper.changed(filled)).read_text()


def test_head_says_where_figures_come_from(paper: Any) -> None:
    record = {
        "started": 1.8e9,
        "ended": 1.8e9 + 75,
        "device": "cuda",
        "device_names": ["NVIDIA H200"],
        "git": {"commit": "0123456789abcdef", "dirty": True},
        "packages": {"torch": "2.11.0"},
        "machine": {"python": "3.11.7"},
        "jobs": {"train/soft/0": {"status": "ok"}, "train/mlp/0": {"status": "ok"}},
    }
    html = paper.write(**record).read_text()
    for fact in (
        "2027-01-15 08:00 UTC, took 1 min 15 s", "cuda, NVIDIA H200", "0123456789ab with uncommitted changes",
        "torch 2.11.0", "&#34;train ok&#34;: 2",
    ):  # fmt: skip
        assert fact in html


def test_ranking_does_not_order_ties(paper: Any) -> None:
    def figures(_: int, row: Row) -> dict[str, Any]:
        value = {("soft", 0.1): 0.857, ("mlp", 0.1): 0.861, ("soft", 0.3): 0.2, ("mlp", 0.3): 0.5}.get(
            (row.model, row.epsilon), 0.5
        )
        return {"status": "ok", "value": value, "low": value - 0.02, "high": value + 0.02, "n": 1000}

    rows = paper.changed(figures)
    tied, decided = ranking.rankings(paper.suite, rows)
    assert [(place.row.model, place.rank) for place in tied.places] == [("mlp", "1–2"), ("soft", "1–2")]
    assert [(place.row.model, place.rank) for place in decided.places] == [("mlp", "1"), ("soft", "2")]
    html = paper.write(rows).read_text()
    assert "85.7 %" in html
    assert "[83.7, 87.7]" in html


def test_what_was_left_out_has_no_ranking(paper: Any) -> None:
    def figures(_: int, row: Row) -> dict[str, Any]:
        if row.epsilon == 0.3:
            return {"status": "not-run", "message": NOT_ASKED}
        return {"status": "ok", "value": 0.5, "low": 0.4, "high": 0.6}

    assert [each.threat for each in ranking.rankings(paper.suite, paper.changed(figures))] == ["linf-0.1"]


def test_models_without_a_figure_are_ranked_last(paper: Any) -> None:
    def figures(_: int, row: Row) -> dict[str, Any]:
        if row.model == "soft":
            return {"status": "failed", "message": "NaN logits"}
        return {"status": "ok", "value": 0.5, "low": 0.4, "high": 0.6}

    first = ranking.rankings(paper.suite, paper.changed(figures))[0]
    assert [(place.row.model, place.row.status, place.rank) for place in first.places] == [
        ("mlp", "ok", ""),
        ("soft", "failed", ""),
    ]


def test_curves_name_models_and_radii(paper: Any) -> None:
    (plot,) = curves(paper.suite, paper.changed(filled))
    for words in (">soft<", ">mlp<", ">0.1<", ">0.3<", ">100%<", "linf radius ε", "currentColor"):
        assert words in plot.figure
    assert "soft: 90.0% at 0" in plot.summary


def test_curves_of_one_radius_and_without_intervals(paper: Any) -> None:
    rows = paper.changed(lambda *_: {"status": "ok", "value": 0.5})
    (plot,) = curves(paper.suite, [row for row in rows if row.epsilon == 0.3])
    assert ">0.3<" in plot.figure
    assert "<path" in plot.figure


def test_quoted_beside_reproduced(paper: Any) -> None:
    html = paper.write(paper.changed(lambda *_: {"status": "ok", "value": 0.271, "low": 0.24, "high": 0.3})).read_text()
    section = html.partition('id="quoted"')[2].partition("</section>")[0]
    for words in ("0.25", "0.271", "[0.24, 0.3]", "0.021", "within our interval", "Somebody 2015"):
        assert words in section


def test_transfer_marks_the_white_box(paper: Any) -> None:
    def figures(_: int, row: Row) -> dict[str, Any]:
        if row.surrogate == "mlp" and row.model == "soft":
            return {"status": "timeout", "message": "took longer than 10 s"}
        return {"status": "ok", "value": 0.876 if row.surrogate == row.model else 0.123, "n": 9}

    section = paper.write(paper.changed(figures)).read_text().partition('id="transfer"')[2].partition("</section>")[0]
    cells = re.findall(r"<td[^>]*>", section)
    assert [("white-box" in cell) for cell in cells] == [True, False, False, True]
    assert section.count("87.6 %") == 2
    assert section.count("12.3 %") == 1
    assert "n = 9." in section
    assert 'title="took longer than 10 s"' in section


def test_table_keeps_every_figure(paper: Any) -> None:
    rows = paper.changed(filled)
    table = board.table(rows)
    assert column(table, "row") == [row.row for row in rows]
    assert column(table, "value") == pytest.approx([row.value for row in rows])
    quoted = [index for index, row in enumerate(rows) if not math.isnan(row.quoted)]
    assert column(table, "difference")[quoted[0]] == pytest.approx(rows[quoted[0]].value - 0.25)
    assert column(table, "difference").count(None) == len(rows) - 1
    assert "forwards" not in table["data"]


def test_every_metric_of_the_suite_is_explained(paper: Any) -> None:
    html = paper.write().read_text()
    for metric in sorted({row.metric for row in paper.rows}):
        assert re.search(rf"<dt><code>[^<]*\b{metric}\b", html), metric


def test_suite_of_generators_alone(paper_of: Any) -> None:
    alone = paper_of("""
suite: alone
data: {grid: {source: grid25, samples: 100}}
models: {gan: {kind: generator, arch: gan-grid, train: {recipe: packed-gan, data: grid, iterations: 5}}}
evaluations: {gen: {kind: generation, models: [gan], data: grid, samples: 20, metrics: [modes]}}
""")
    html = alone.write().read_text()
    assert 'id="generators"' in html
    for section in ("ranking", "curves", "quoted", "transfer", "gallery", "autoencoders", "expectations"):
        assert f'id="{section}"' not in html
