"""What a gate found, for a terminal, a pull request (Markdown) and a CI server (JUnit XML)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.etree import ElementTree as Xml

from bench.results.gating import UNCOMPARED, Gate
from bench.results.joining import Comparison

_NAMED = 20
"""Samples named in a line at the most."""
_MARKS = {"pass": "✅", "improved": "✅", "regression": "❌", "inconclusive": "❔", "new": "🆕"}


def headline(gate: Gate) -> str:
    """The whole in a line."""
    if not gate.compared:
        return f"{gate.suite}: nothing was compared, so nothing has passed"
    counts = {answer: gate.count(answer) for answer in dict.fromkeys(row.answer for row in gate.rows)}
    said = ", ".join(f"{count} {answer}" for answer, count in counts.items())
    return f"{gate.suite}: {gate.compared} of {len(gate.rows)} rows compared: {said}"


def terminal(gate: Gate) -> str:
    """One line a row and one for the whole."""
    width = max((len(row.answer) for row in gate.rows), default=0)
    lines = [f"{row.answer:{width}}  {row.row}  {_figures(row)}  {row.sentence}" for row in gate.rows]
    for row in gate.rows:
        if row.lost and row.answer != "pass":
            lines.append(f"lost in {row.row}: {_listed(row.lost)}")
    return "\n".join([*lines, *(f"note: {note}" for note in gate.notes), headline(gate)])


def markdown(gate: Gate) -> str:
    """A table of rows with what flipped below it, as GitHub shows it in a job's summary."""
    lines = [f"### {_cell(headline(gate))}", "", *(f"- {_cell(note)}" for note in gate.notes), ""]
    lines += ["| | row | before | now | n | why |", "|---|---|---|---|---|---|"]
    for row in gate.rows:
        mark = f"{_MARKS.get(row.answer, '⚠️')} {row.answer}"
        figures = f"{_figure(row.before)} | {_figure(row.now)} | {row.n or ''}"
        lines.append(f"| {mark} | `{_cell(row.row)}` | {figures} | {_cell(row.sentence)} |")
    for row in gate.rows:
        if row.lost or row.gained:
            lines += ["", f"<details><summary>flipped in <code>{_cell(row.row)}</code></summary>", ""]
            lines += [f"- lost: {_cell(_listed(row.lost, 200))}", f"- gained: {_cell(_listed(row.gained, 200))}"]
            lines += ["", "</details>"]
    return "\n".join(lines) + "\n"


def junit(gate: Gate, *, inconclusive_fails: bool = False) -> str:
    """A test case a row; what could not be compared is an error, and so is a gate that compared nothing."""
    failing = ("regression", "inconclusive") if inconclusive_fails else ("regression",)
    failures = sum(row.answer in failing for row in gate.rows)
    nothing = not gate.compared and not gate.count(*UNCOMPARED)
    errors = gate.count(*UNCOMPARED) + nothing
    skipped = sum(row.answer in ("new", "inconclusive") and row.answer not in failing for row in gate.rows)
    counts = {"tests": str(len(gate.rows) + nothing), "failures": str(failures), "errors": str(errors)}
    suite = Xml.Element("testsuite", {"name": f"bench gate {gate.suite}", **counts, "skipped": str(skipped)})
    for row in gate.rows:
        case = Xml.SubElement(suite, "testcase", {"classname": gate.suite, "name": row.row})
        kind = "failure" if row.answer in failing else "error" if row.answer in UNCOMPARED else ""
        if kind:
            Xml.SubElement(case, kind, {"message": _plain(f"{row.answer}: {row.sentence}")})
        elif row.answer in ("new", "inconclusive"):
            Xml.SubElement(case, "skipped", {"message": _plain(f"{row.answer}: {row.sentence}")})
        said = [f"{_figures(row)} {row.answer}: {row.sentence}"]
        said += [f"lost: {_listed(row.lost, 1000)}"] if row.lost else []
        said += [f"gained: {_listed(row.gained, 1000)}"] if row.gained else []
        Xml.SubElement(case, "system-out").text = _plain("\n".join(said))
    if nothing:
        case = Xml.SubElement(suite, "testcase", {"classname": gate.suite, "name": "anything compared"})
        Xml.SubElement(case, "error", {"message": headline(gate)})
    Xml.indent(suite)
    return Xml.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _figures(row: Comparison) -> str:
    return f"{_figure(row.before) or '-'} -> {_figure(row.now) or '-'}"


def _figure(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4g}"


def _listed(names: Sequence[str], most: int = _NAMED) -> str:
    """Some names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "none") + more


def _cell(text: str) -> str:
    """A text that neither ends a table's cell nor is taken for HTML."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|").replace("\n", " ")


def _plain(text: str) -> str:
    """A text of characters that XML can hold."""
    return "".join(char if char in "\t\n" or _printable(ord(char)) else "?" for char in text)


def _printable(code: int) -> bool:
    return 0x20 <= code < 0xD800 or 0xDFFF < code < 0xFFFE or code > 0xFFFF
