"""The validator's findings as the sentences this program speaks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic_core import ErrorDetails

from bench.errors import did_you_mean
from bench.suite.yaml_source import scalar

_EXPECTED = {
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "float_type": "a number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "list_type": "a list",
    "string_type": "a text",
    "string_too_short": "a text that is not empty",
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
        return f"unknown key {quote(name)}{near(name, known)}", True
    if kind == "missing":
        if isinstance(error["loc"][-1], int):
            return f"expected more entries, found {show(found)}", False
        return f"the key '{name}' is missing", True
    if kind == "literal_error":
        hint = nearest(found, _choices(context["expected"])) if isinstance(found, str) else ""
        return f"expected {context['expected']}, found {show(found)}{hint}", False
    if kind == "value_error":
        message = str(context.get("error", error["msg"]))
        complete = "found" in message or show(found) in message
        return clip(message if complete else f"{message}, found {show(found)}", 200), False
    expected = _EXPECTED.get(kind) or _bound(kind, context)
    if not expected:
        expected = f"{error['msg'][0].lower()}{error['msg'][1:]}"
        return f"{expected}, found {show(found)}", False
    return f"expected {expected}, found {show(found)}{_advice(kind, found)}", False


def _advice(kind: str, found: object) -> str:
    """What to do about a value that was meant well but written as another type."""
    if kind == "string_type" and isinstance(found, bool | int | float):
        return "; put it in quotes"
    if kind in ("float_type", "int_type") and isinstance(found, str):
        if isinstance(scalar(found), int | float):
            return "; take it out of the quotes"
        if kind == "float_type" and "/" in found:
            return "; a ratio is of whole numbers, such as 8/255"
    if kind == "list_type" and isinstance(found, str):
        return f"; write [{clip(found)}]" if found.isprintable() else ""
    return ""


def _choices(expected: str) -> list[str]:
    """The words of the validator's own list, such as "'linf' or 'l2'"."""
    return expected.split("'")[1::2]


def _bound(kind: str, context: Mapping[str, Any]) -> str:
    """The range behind a finding about size, in words."""
    words = {
        "greater_than": "a number above {gt:g}",
        "greater_than_equal": "a number of at least {ge:g}",
        "less_than": "a number below {lt:g}",
        "less_than_equal": "a number of at most {le:g}",
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
    """A value as found in a file, shortened to fit a line.

    >>> show({"pgd": 1}), show([1, 2]), show(True), show(None)
    ("a mapping with 'pgd'", 'a list of 2', 'true', 'nothing')
    """
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return (
            clip(f"a mapping with {', '.join(quote(str(key)) for key in list(value)[:4])}")
            if value
            else "an empty mapping"
        )
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    return clip(repr(value))


def clip(text: str, length: int = 60) -> str:
    """A text shortened to fit a line."""
    return text if len(text) <= length else f"{text[: length - 3]}..."


def quote(name: str) -> str:
    """A name in quotes, shortened to fit a line, with nothing in it that would break the line."""
    return f"'{clip(name)}'" if name.isprintable() else clip(repr(name))


def near(word: str, known: Iterable[str]) -> str:
    """A hint that ends an 'unknown name' message: `did_you_mean`, kept short whatever was written."""
    names = sorted(name for name in known if name.isprintable() and len(name) <= 60)
    hint = did_you_mean(word[:100], names)
    if len(names) > 20 and "did you mean" not in hint:
        return f"; there are {len(names)}, such as {', '.join(names[:5])}"
    return hint


def nearest(word: str, known: Iterable[str]) -> str:
    """The hint at one name that was meant; empty where none is near, or all have been listed."""
    hint = near(word, known)
    return hint if "did you mean" in hint else ""


def a(noun: str) -> str:
    """A noun with its article; the one kind of model that is no noun by itself gets one.

    >>> a("classifier"), a("autoencoder"), a("features")
    ('a classifier', 'an autoencoder', 'a network of features')
    """
    if noun == "features":
        return "a network of features"
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
