"""What a suite can name, and its options in words: for `bench list` and the documentation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel

from bench.attacks.catalogue import ATTACKS
from bench.audit.catalogue import CHECKS
from bench.catalogue import Catalogue, Options, Real
from bench.data.catalogue import DATA
from bench.defenses.catalogue import DEFENSES
from bench.metrics.catalogue import METRICS
from bench.models.catalogue import MODELS
from bench.suite.json_schema import default, value_schema
from bench.suite.schema import Duration
from bench.training.catalogue import RECIPES

CATALOGUES: Mapping[str, Catalogue] = {
    "attacks": ATTACKS,
    "metrics": METRICS,
    "models": MODELS,
    "data": DATA,
    "recipes": RECIPES,
    "defenses": DEFENSES,
    "checks": CHECKS,
}
"""The catalogues by the name `bench list` knows them by."""

_WORDS = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false"}
_PATTERNS = {
    value_schema(Real)["anyOf"][1]["pattern"]: "number",
    value_schema(Duration)["anyOf"][1]["pattern"]: "duration",
}
_RANGES = {"minimum": "of at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}


class Key(NamedTuple):
    """One key of a block, in words.

    Attributes:
        name: The key.
        kind: What its value is, with its range.
        default: Its default as written in YAML; None where it is required.
        meaning: What it is for.
    """

    name: str
    kind: str
    default: str | None
    meaning: str


def option_lines(options: type[Options]) -> list[str]:
    """One line an option: name, type, range, default and meaning.

    >>> from bench.attacks.options import Pgd
    >>> option_lines(Pgd)[4]
    'steps: whole number of at least 1, default 40: gradient steps a restart'
    """
    return [
        f"{key.name}: {key.kind}, {'required' if key.default is None else f'default {key.default}'}: {key.meaning}"
        for key in keys(options)
    ]


def keys(model: type[BaseModel]) -> Iterator[Key]:
    """The keys of a block in words."""
    for name, field in model.model_fields.items():
        kind = words(value_schema(field.annotation, field.metadata))
        written = None if field.is_required() else written_as(default(field))
        yield Key(name, kind, written, field.description or "")


def words(schema: Mapping[str, Any], *, many: bool = False) -> str:
    """A JSON schema of one value as words.

    >>> words({"type": "array", "items": {"type": "integer"}, "minItems": 1})
    'non-empty list of whole numbers'
    """
    if "enum" in schema or "const" in schema:
        *most, last = [written_as(value) for value in schema.get("enum", [schema.get("const")])]
        return f"{', '.join(most)} or {last}" if most else last
    if "anyOf" in schema:
        branches = [branch for branch in schema["anyOf"] if branch.get("type") != "null"]
        null = "" if len(branches) == len(schema["anyOf"]) else " or null"
        return f"{words(branches[0], many=many) if len(branches) == 1 else _either(branches, many=many)}{null}"
    if schema["type"] == "array":
        listed = "lists" if many else "list"
        if "prefixItems" in schema:
            return f"{listed} of {len(schema['prefixItems'])} {words(schema['prefixItems'][0], many=True)}"
        filled = "non-empty " if "minItems" in schema else ""
        return f"{filled}{listed} of {words(schema['items'], many=True)}"
    if schema["type"] == "object":
        return "mappings" if many else "mapping"
    return f"{_plural(_WORDS[schema['type']], many=many)}{_range(schema)}"


def written_as(value: Any) -> str:
    """A value as a suite would write it.

    >>> written_as(None), written_as([1.0, 0.001]), written_as(True)
    ('null', '[1, 0.001]', 'true')
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(written_as(item) for item in value)}]"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value) or "''"


def _either(branches: list[Mapping[str, Any]], *, many: bool) -> str:
    """The words for a number that may be written as a text as well, or for the use of a component."""
    number, text = branches
    if "pattern" not in text:
        return _plural("use", many=many)
    return f"{_plural(_PATTERNS[text['pattern']], many=many)}{_range(number)}"


def _plural(word: str, *, many: bool) -> str:
    return f"{word}s" if many and not word.startswith("true") else word


def _range(schema: Mapping[str, Any]) -> str:
    """The bounds of a schema, as the end of a phrase."""
    parts = [f"{word} {written_as(schema[key])}" for key, word in _RANGES.items() if key in schema]
    if "minLength" in schema:
        parts.append("that is not empty")
    return f" {' and '.join(parts)}" if parts else ""
