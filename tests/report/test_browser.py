"""The page's script, in a real browser."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from bench.results.row import Row

ROWS = 5000


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    """Many rows, with values that a sort by text would order wrongly, some without a figure, in no order."""
    draw = random.Random(0)  # noqa: S311
    made = []
    for index in range(ROWS):
        epsilon = draw.choice([0.0314, 0.3, 2.0, 10.0])
        row = Row(
            f"wb/model-{index}/fgsm/linf-{epsilon:g}/robust_accuracy",
            "wb", f"model-{index % 50}", "fgsm", "", f"linf-{epsilon:g}", "linf", epsilon, "robust_accuracy",
            value=draw.choice([1e-5, 9.5, 10.25, 100.0, -3.0]) * draw.random(), direction="higher", n=index,
        )  # fmt: skip
        lost = replace(row, value=float("nan"), status="failed", message="the <b>model</b> returned NaN")
        made.append(lost if index % 10 == 0 else row)
    return made


@pytest.fixture
def page(paper: Any, rows: list[Row], browser: Any) -> Any:
    browser.get(paper.write(rows).as_uri())
    return browser


def cells(page: Any, key: str) -> list[str]:
    """The texts of one column of the rows that are shown."""
    script = """
        const heads = [...document.querySelectorAll("#board thead th")];
        const place = heads.findIndex((cell) => cell.dataset.key === arguments[0]);
        return [...document.querySelectorAll("#board tbody tr")].map((line) => line.cells[place].textContent);
    """
    found: list[str] = page.execute_script(script, key)
    return found


def head(page: Any, key: str) -> Any:
    return page.find_element("css selector", f'#board th[data-key="{key}"] button')


def aria_sort(page: Any, key: str) -> str:
    return str(page.find_element("css selector", f'#board th[data-key="{key}"]').get_attribute("aria-sort"))


def numbers(texts: list[str]) -> list[float]:
    return [float(text.replace("−", "-").replace(",", "")) for text in texts]


def count(page: Any) -> str:
    return str(page.find_element("id", "count").text)


def type_filter(page: Any, text: str) -> None:
    page.find_element("id", "filter").send_keys(text)


def test_values_sort_as_numbers_both_ways(page: Any, rows: list[Row]) -> None:
    wanted = sorted(row.value for row in rows if row.status == "ok")
    head(page, "value").click()
    assert numbers(cells(page, "value")) == pytest.approx(wanted[:100], rel=1e-3)
    assert aria_sort(page, "value") == "ascending"
    head(page, "value").click()
    assert numbers(cells(page, "value")) == pytest.approx(wanted[::-1][:100], rel=1e-3)
    assert aria_sort(page, "value") == "descending"
    assert aria_sort(page, "model") == "none"


def test_rows_without_a_figure_come_last_both_ways(page: Any) -> None:
    for _ in range(2):
        head(page, "value").click()
        page.execute_script("const next = document.getElementById('next'); while (!next.disabled) next.click()")
        assert set(cells(page, "value")) == {"failed"}


def test_radii_inside_texts_sort_as_numbers(page: Any) -> None:
    head(page, "threat").click()
    assert set(cells(page, "threat")) == {"linf-0.0314"}
    head(page, "threat").click()
    assert set(cells(page, "threat")) == {"linf-10"}
    head(page, "model").click()
    assert cells(page, "model")[0] == "model-0"
    type_filter(page, "linf-2")
    assert set(cells(page, "threat")) == {"linf-2"}


def test_filter_needs_every_word(page: Any, rows: list[Row]) -> None:
    type_filter(page, "FAILED model-7/")
    wanted = [row for row in rows if row.status == "failed" and "model-7/" in row.row]
    assert len(cells(page, "row")) == len(wanted)
    type_filter(page, " nowhere")
    assert cells(page, "row") == []
    assert count(page).startswith("0 rows")
    page.find_element("id", "clear").click()
    assert count(page) == f"1–100 of {ROWS:,} rows"


def test_choices_narrow_the_table(page: Any, rows: list[Row]) -> None:
    from selenium.webdriver.support.ui import Select

    choices = page.find_elements("css selector", "#choices label")
    assert [choice.text.split("\n")[0] for choice in choices] == ["model", "status"]
    Select(choices[0].find_element("tag name", "select")).select_by_visible_text("model-20")
    Select(choices[1].find_element("tag name", "select")).select_by_visible_text("failed")
    wanted = [row for row in rows if row.model == "model-20" and row.status == "failed"]
    assert cells(page, "n") == [str(row.n) if row.n < 1000 else f"{row.n:,}" for row in wanted]
    assert set(cells(page, "message")) == {"the <b>model</b> returned NaN"}


def test_pages_show_every_row_once(page: Any, rows: list[Row]) -> None:
    assert not page.find_element("id", "previous").is_enabled()
    seen = cells(page, "row")
    while page.find_element("id", "next").is_enabled():
        page.find_element("id", "next").click()
        seen += cells(page, "row")
    assert seen == [row.row for row in rows]
    assert count(page) == f"4,901–5,000 of {ROWS:,} rows"
    page.find_element("id", "previous").click()
    assert count(page) == f"4,801–4,900 of {ROWS:,} rows"


def test_the_keyboard_sorts(page: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    head(page, "n").send_keys(Keys.ENTER)
    assert aria_sort(page, "n") == "ascending"
    head(page, "n").send_keys(Keys.SPACE)
    assert aria_sort(page, "n") == "descending"
    assert numbers(cells(page, "n"))[0] == ROWS - 1


def test_few_cells_are_in_the_page(page: Any) -> None:
    assert len(cells(page, "row")) == 100
    assert page.execute_script("return document.querySelectorAll('*').length") < 5000


def test_nothing_is_wider_than_a_small_screen(page: Any) -> None:
    device = {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", device)
    try:
        assert page.execute_script("return document.documentElement.scrollWidth") <= 400
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_console_stays_empty(page: Any, tiny: Any) -> None:
    type_filter(page, "model")
    head(page, "value").click()
    page.get((tiny.folder / "report.html").as_uri())
    assert page.get_log("browser") == []
    loaded = page.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert [name for name in loaded if not name.startswith("data:")] == []
    broken = "return [...document.images].filter((image) => !image.naturalWidth).length"
    assert page.execute_script(broken) == 0
