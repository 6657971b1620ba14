"""What a plug-in folder offers, known without importing torch.

Each of `data`, `models`, `training`, `attacks`, `defenses`, `audit` and `metrics` has a catalogue of `Component`s: a
name, options with defaults, ranges and units, one line, a source, and where the code is. The code is imported when a
job needs it.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, WithJsonSchema

from bench.errors import BenchError, did_you_mean

IMPORT_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_RATIO = re.compile(r"\s*([+-]?\d+)\s*/\s*(\d+)\s*")


def _exact(value: object) -> object:
    """Turn the text ``8/255`` into the float nearest to that ratio; leave everything else alone."""
    if isinstance(value, str) and (match := _RATIO.fullmatch(value)):
        numerator, denominator = int(match[1]), int(match[2])
        if denominator == 0:
            raise ValueError(f"{value!r} divides by zero")
        try:
            return float(Fraction(numerator, denominator))
        except OverflowError:
            raise ValueError("the ratio is too large for a number") from None
    return value


Real = Annotated[
    float,
    BeforeValidator(_exact),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^[+-]?\d+/\d+$"}]}),
]
"""A finite number in a suite: ``0.3``, ``1e-3`` or an exact ratio such as ``8/255``."""


class Options(BaseModel):
    """Base of every option set: unknown keys are refused, values are not coerced, instances are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


@dataclass(frozen=True)
class Component:
    """One entry of a catalogue.

    Attributes:
        name: What a suite calls it.
        line: One line that says what it is.
        source: The paper, section or origin it follows.
        code: ``module:callable`` that does it; imported only when a job needs it.
        options: Its options, with defaults, ranges and units.
        version: Raised when its behaviour changes; part of every key that depends on it.
        traits: What else its users need to know, such as the norms an attack supports.
    """

    name: str
    line: str
    source: str
    code: str
    options: type[Options]
    version: int = 1
    traits: Mapping[str, Any] = field(default_factory=dict)

    def load(self) -> Callable[..., Any]:
        """Import the code behind this entry."""
        return import_by_name(self.code)


class Catalogue(Mapping[str, Component]):
    """The components of one kind, by name."""

    def __init__(self, noun: str, *components: Component) -> None:
        self.noun = noun
        self._components = {component.name: component for component in components}

    def __getitem__(self, name: str) -> Component:
        """Look a component up; a `BenchError` names the closest one when there is none."""
        try:
            return self._components[name]
        except KeyError:
            raise BenchError(f"unknown {self.noun} '{name}'{did_you_mean(name, self._components)}") from None

    def __contains__(self, name: object) -> bool:
        """Whether there is a component of that name."""
        return name in self._components

    def __iter__(self) -> Iterator[str]:
        """The names, in the catalogue's order."""
        return iter(self._components)

    def __len__(self) -> int:
        """How many components there are."""
        return len(self._components)


def is_import_name(name: str) -> bool:
    """Whether a name has the shape ``package.module:callable``.

    >>> is_import_name("mypackage.models:build"), is_import_name("pgd")
    (True, False)
    """
    return IMPORT_NAME.fullmatch(name) is not None


def import_by_name(name: str) -> Callable[..., Any]:
    """Import ``package.module:callable``. This runs the module's code: name only what you trust.

    Raises:
        BenchError: The module or the attribute does not exist, the module raises while it is imported, or
            what the name stands for cannot be called.

    >>> import_by_name("math:sqrt")(9.0)
    3.0
    """
    module_name, _, attribute = name.partition(":")
    try:
        target: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise BenchError(
            f"cannot import '{name}': no module named '{error.name}' on the import path "
            f"({', '.join(sys.path[:3])}, ...); run from the folder that holds it, or install it"
        ) from error
    except Exception as error:
        raise BenchError(f"cannot import '{name}': {type(error).__name__}: {error}") from error
    for part in attribute.split("."):
        if not hasattr(target, part):
            public = [word for word in dir(target) if not word.startswith("_")]
            raise BenchError(f"module '{module_name}' has no '{attribute}'{did_you_mean(part, public)}")
        target = getattr(target, part)
    if not callable(target):
        raise BenchError(f"'{name}' is a {type(target).__name__}; expected something that can be called")
    return target  # type: ignore[no-any-return]
