"""Figures that papers state: beside ours, copied from elsewhere, of models we do not have."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

import bench
from bench.errors import SuiteError
from bench.results.quoted import QUOTED_ONLY, with_quotes
from bench.results.row import Row
from bench.suite.check import check
from bench.suite.schema import Quote

SUITE = """\
suite: quotes
data: {ring: {source: ring8, samples: 200}}
models:
  gan:
    kind: generator
    arch: {gan-grid: {width: 4}}
    train: {recipe: packed-gan, data: ring, iterations: 2, batch_size: 20, width: 2}
evaluations:
  ring: {kind: generation, models: [gan], data: ring, samples: 20, metrics: [modes]}
quoted:
  - {row: ring/gan/ring/modes, value: 6.3, plus_minus: 0.5, source: "Table 1"}
  - {row: ring/ALI/ring/modes, value: 6.6, source: "Table 2", copied_from: "Table 9", only: true}
"""


def test_a_model_that_is_only_quoted_has_a_row_without_a_figure_of_ours(tmp_path: Path) -> None:
    file = tmp_path / "quotes.yaml"
    file.write_text(SUITE)
    done = bench.run(file, out=tmp_path / "out", store=tmp_path / "store", device="cpu")
    assert done.exit_code == 0, "nothing is missing"
    rows = {row.row: row for row in done.rows}
    ours, theirs = rows["ring/gan/ring/modes"], rows["ring/ALI/ring/modes"]
    assert (ours.quoted, ours.quoted_plus_minus, ours.quoted_source) == (6.3, 0.5, "Table 1")
    assert not math.isnan(ours.value)
    assert math.isnan(theirs.value)
    assert (theirs.model, theirs.metric, theirs.threat, theirs.direction) == ("ALI", "modes", "ring", "higher")
    assert (theirs.quoted, theirs.status, theirs.trials, theirs.n) == (6.6, "ok", 0, 0)
    assert theirs.quoted_source == "Table 2; copied there from Table 9"
    assert theirs.message == "quoted only: this suite has no such model"
    order = list(rows)
    assert order.index("ring/ALI/ring/modes") == order.index("ring/real-data/ring/modes") + 1
    page = (tmp_path / "out" / "report.html").read_text()
    assert "quoted only: this suite has no such model" in page


def test_rows_of_attacks_that_are_only_quoted_keep_their_fields_and_their_order() -> None:
    def row(model: str, attack: str, epsilon: float) -> Row:
        threat = f"linf-{epsilon}"
        name = f"tr/{model}/{attack}@mlp/{threat}/robust_accuracy"
        return Row(
            name, "tr", model, attack, "mlp", threat, "linf", epsilon, "robust_accuracy", direction="higher", n=9
        )

    ours = [row(model, attack, epsilon) for model in "ab" for attack in ("fgsm", "pgd") for epsilon in (0.1, 0.3)]
    theirs = [replace(row(model, "pgd", 0.1), n=0, message=QUOTED_ONLY) for model in "zy"]
    found = with_quotes(ours, [Quote(row=each.row, value=0.5, source="Table 1", only=True) for each in theirs])
    assert [each.row for each in found] == [each.row for each in [*ours[:7], *theirs, ours[7]]]
    for each, expected in zip(found[7:9], theirs, strict=True):
        assert repr(each) == repr(replace(expected, quoted=0.5, quoted_source="Table 1")), "NaN is not equal to itself"


@pytest.mark.parametrize(("old", "new", "said"), [
    ("ALI", "gan-2", None),
    (", only: true", "", "no row 'ring/ALI/ring/modes'"),
    ("ring/ALI/ring/modes", "ring/gan/ring/jsd", "the suite has the row 'ring/gan/ring/jsd' itself; leave out `only`"),
    ("ring/ALI/ring/modes", "ring/ALI/ring/mods", "expected a row of this suite with another name in place of the"),
    ("ring/ALI/ring/modes", "ALI", "such as 'ring/gan/ring/modes'"),
    ("ring/ALI/", "ring/ /", "expected a name of letters, digits and '-_.+' as the model, found ' '"),
    ("ring/ALI/", "ring/real-data/", "the suite has the row"),
])  # fmt: skip
def test_what_can_be_quoted_alone(old: str, new: str, said: str | None) -> None:
    text = SUITE.replace(old, new)
    if said is None:
        check(text, "quotes.yaml")
        return
    with pytest.raises(SuiteError, match=r"quotes\.yaml:12") as caught:
        check(text, "quotes.yaml")
    assert said in str(caught.value)
