"""The mistakes of one suite file, collected with their places."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError

from bench.catalogue import Catalogue
from bench.suite.messages import near, quote, sentence
from bench.suite.schema import Use
from bench.suite.yaml_source import Document, Path

Block = TypeVar("Block", bound=BaseModel)
LONGEST_NAME = 40
"""Names become parts of row ids and of file names, which have an end."""


class Findings:
    """Checks parts of a document and keeps what is wrong with them.

    Attributes:
        document: The file as read.
        raw: Its content.
        warnings: What is allowed but looks wrong.
    """

    def __init__(self, document: Document) -> None:
        self.document = document
        self.raw: Mapping[str, Any] = document.value
        self.warnings: list[str] = []

    @property
    def count(self) -> int:
        """How many mistakes there are so far."""
        return len(self.document.problems)

    def add(self, path: Path, message: str, *, at_key: bool = False) -> None:
        """Note a mistake at a path, unless it follows from a value that could not be read at all."""
        if any(path[:length] in self.document.refused for length in range(len(path) + 1)):
            return
        self.document.problems.append(self.document.problem(path, message, at_key=at_key))

    def block(self, model: type[Block], value: Any, path: Path) -> Block | None:
        """Validate one block; its mistakes are added with their places."""
        try:
            return model.model_validate(value)
        except ValidationError as error:
            for detail in error.errors():
                place = (*path, *self.written(value, detail["loc"], detail["type"]))
                message, at_key = sentence(detail, _keys_at(model, detail["loc"]))
                self.add(place[:-1] if detail["type"] == "missing" else place, message, at_key=at_key)
            return None

    def partial(self, model: type[Block], value: Mapping[str, Any]) -> Block:
        """A block of only those fields that are right by themselves, to go on checking after a mistake.

        In a list, an entry that is wrong by itself is None, so that the others keep their positions.
        """
        good: dict[str, Any] = {}
        for name, field in model.model_fields.items():
            annotation: Any = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
            if name not in value:
                if not field.is_required():
                    good[name] = field.get_default(call_default_factory=True)
                continue
            fits, checked = _fit(annotation, value[name])
            if fits:
                good[name] = checked
            elif get_origin(field.annotation) is list and isinstance(value[name], list):
                (inner,) = get_args(field.annotation)
                good[name] = [_fit(inner, entry)[1] for entry in value[name]]
        return model.model_construct(_fields_set=set(good), **good)

    @staticmethod
    def written(value: Any, loc: tuple[int | str, ...], kind: str) -> Path:
        """The part of a finding's place that exists in the file (a single epsilon has no position 0)."""
        place: list[str | int] = []
        for part in loc:
            inside = (isinstance(value, Mapping) and part in value) or (
                isinstance(value, list) and isinstance(part, int) and part < len(value)
            )
            if not inside:
                if kind == "missing" and part == loc[-1]:
                    place.append(part)
                continue
            place.append(part)
            value = value[part]
        return tuple(place)

    def short(self, name: str, path: Path, *, at_key: bool = False) -> None:
        """Complain about a name that is too long."""
        if len(name) > LONGEST_NAME:
            message = f"expected a name of at most {LONGEST_NAME} characters, found {len(name)}"
            self.add(path, message, at_key=at_key)

    def known(self, section: str, name: str, path: Path) -> bool:
        """Whether a section of the suite has a block of that name."""
        blocks = self.raw.get(section, None if section == "data" else {})
        if not isinstance(blocks, Mapping):
            return False  # the section itself is a mistake already
        if name in blocks:
            return True
        noun = {"data": "data set", "models": "model"}[section]
        self.add(path, f"unknown {noun} {quote(name)}{near(name, blocks)}")
        return False

    def component(
        self, catalogue: Catalogue, use: Use, path: Path, defaults: Mapping[str, Any] | None = None
    ) -> Use | None:
        """A use with all its options filled in; an import name keeps the options as written."""
        if use.imported:
            return use
        if use.name not in catalogue:
            self.add(path, f"unknown {catalogue.noun} {quote(use.name)}{near(use.name, catalogue)}")
            return None
        entry = catalogue[use.name]
        options = self.block(entry.options, use.options, (*path, use.name))
        if options is None:
            return None
        filled = {
            **options.model_dump(),
            **{key: value for key, value in (defaults or {}).items() if key not in use.options},
        }
        return use.model_copy(update={"options": filled, "version": entry.version})

    def unique(self, labels: Iterable[str | None], path: Path, noun: str) -> None:
        """Complain about labels that repeat."""
        seen: set[str] = set()
        for index, label in enumerate(labels):
            if label is None:
                continue
            if label in seen:
                hint = "" if noun in ("model", "control") else "; give one of them another name with `as:`"
                self.add((*path, index), f"the {noun} '{label}' is listed twice{hint}")
            seen.add(label)


def _fit(annotation: Any, value: Any) -> tuple[bool, Any]:
    """Whether a value fits a type, and what it reads as there."""
    try:
        return True, TypeAdapter(annotation).validate_python(value, strict=True)
    except ValidationError:
        return False, None


def _keys_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """The keys allowed where a finding was made."""
    current: Any = model
    for part in loc[:-1]:
        field = getattr(current, "model_fields", {}).get(str(part))
        current = getattr(field, "annotation", None)
        if current is not None and not hasattr(current, "model_fields"):
            inner = [arg for arg in getattr(current, "__args__", ()) if hasattr(arg, "model_fields")]
            current = inner[0] if inner else None
    return list(getattr(current, "model_fields", {}))
