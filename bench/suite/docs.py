"""Makes docs/suites.md from the schema and the catalogues: `python -m bench.suite.docs > docs/suites.md`."""

from __future__ import annotations

import sys
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from pydantic import BaseModel

from bench.catalogue import Component
from bench.data.catalogue import DataOptions, Imported
from bench.suite import schema
from bench.suite.names import RECONSTRUCTION_METRICS
from bench.suite.reference import CATALOGUES, Key, keys

TEMPLATE = Path(__file__).parent / "suites.md.jinja"


def page() -> str:
    """The text of docs/suites.md."""
    # what is made here is Markdown: escaping for HTML would spoil it
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)  # noqa: S701
    environment.filters["code"] = lambda text: f"`{text}`"
    shown = {model.__name__: model for model in (
        schema.Header, schema.Model, schema.Training, schema.Threat, schema.Expectation, schema.Quote, schema.Gate,
        schema.GatedRows, DataOptions,
        Imported,
    )}  # fmt: skip
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        **shown,
        table=table,
        entries=entries,
        EVALUATIONS=schema.EVALUATIONS,
        RECONSTRUCTION_METRICS=RECONSTRUCTION_METRICS,
    )


def table(model: type[BaseModel], without: type[BaseModel] | None = None) -> str:
    """A table of the keys of a block, but for those that `without` has as well; a sentence where there are none."""
    known = set(without.model_fields) if without is not None else set()
    # an evaluation's kind is said above its table
    rows = [_row(key) for key in keys(model) if key.name not in known and key.meaning]
    if not rows:
        return "It has no options of its own." if known else "It has no options."
    return "\n".join(["| key | value | default | meaning |", "|---|---|---|---|", *rows])


def _row(key: Key) -> str:
    default = "required" if key.default is None else f"`{key.default}`"
    meaning = key.meaning.replace("|", "\\|")
    return f"| `{key.name}` | {key.kind} | {default} | {meaning} |"


def entries(kind: str, without: type[BaseModel] | None = None) -> str:
    """All entries of a catalogue: what each is, its source, its options."""
    return "\n".join(_entry(component, without) for component in CATALOGUES[kind].values())


def _entry(component: Component, without: type[BaseModel] | None) -> str:
    facts = component.traits
    notes = []
    if "norms" in facts:
        notes.append(f"Norms: {', '.join(facts['norms'])}.")
    if "against" in facts:
        notes.append(f"Attacks a model of kind `{facts['against']}`.")
    if "in" in facts:
        notes.append(f"Part of {' and '.join(f'`{level}`' for level in facts['in'])}.")
    if "kind" in facts:
        notes.append(f"Kind: `{facts['kind']}`.")
    if "for" in facts:
        notes.append(f"For {' and '.join(f'`{kind}`' for kind in facts['for'])}.")
    if "rows" in facts:
        rows = (f"`{row}` ({way} is better)" for row, way in facts["rows"].items())
        notes.append(f"Rows: {', '.join(rows)}.")
    if "numbered" in facts:
        row, option = facts["numbered"]
        notes.append(f"Also `{row}_2`, and so on up to the number that `{option}` says.")
    text = " ".join([component.line, *notes, f"Source: {component.source}."])
    return f"#### `{component.name}`\n\n{text}\n\n{table(component.options, without)}\n"


if __name__ == "__main__":
    sys.stdout.write(page())
