"""The validator's findings as the sentences this program speaks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic_core import ErrorDetails

from bench.errors import did_you_mean

_EXPECTED = {
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "float_type": "a number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "list_type": "a list",
    "string_type": "a text",
    "tuple_type": "a list",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}


def sentence(error: ErrorDetails, known: Iterable[str]) -> tuple[str, bool]:
    """A sentence for one finding, and whether it is about the key rather than its value.

    Args:
        error: One entry of `ValidationError.errors()`.
        known: The keys that are allowed where the error was found.
    """
    kind, found, context = error["type"], error["input"], error.get("ctx", {})
    name = str(error["loc"][-1]) if error["loc"] else ""
    if kind == "extra_forbidden":
        return f"unknown key '{name}'{did_you_mean(name, known)}", True
    if kind == "missing":
        return f"the key '{name}' is missing", True
    if kind == "literal_error":
        return f"expected {context['expected']}, found {show(found)}", False
    if kind == "value_error":
        return str(context.get("error", error["msg"])), False
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind]}, found {show(found)}", False
    bound = _bound(kind, context)
    if bound:
        return f"expected {bound}, found {show(found)}", False
    return f"{error['msg'][0].lower()}{error['msg'][1:]}, found {show(found)}", False


def _bound(kind: str, context: Mapping[str, Any]) -> str:
    """The range behind a finding about size, in words."""
    words = {
        "greater_than": "a number above {gt}",
        "greater_than_equal": "a number of at least {ge}",
        "less_than": "a number below {lt}",
        "less_than_equal": "a number of at most {le}",
        "finite_number": "a finite number",
    }
    if kind in words:
        return words[kind].format(**context)
    if kind == "too_short":
        return f"at least {context['min_length']} entr{'y' if context['min_length'] == 1 else 'ies'}"
    if kind == "too_long":
        return f"at most {context['max_length']} entries"
    if kind == "string_pattern_mismatch":
        return "a name of letters, digits and '-_.+' that begins with a letter or digit"
    return ""


def show(value: object) -> str:
    """A value as found in a file, shortened to fit a line."""
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return f"a mapping with {', '.join(map(str, list(value)[:4]))}" if value else "an empty mapping"
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
