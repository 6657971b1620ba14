"""YAML 1.2 with a memory of where everything was written.

Differences from PyYAML's own reading: ``1e-3`` is a number, ``on`` and ``no`` and ``10:30`` are strings, ``010`` is
ten, a key given twice is an error, and no tag can construct an object.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from bench.errors import Problem

Path = tuple[str | int, ...]

_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = {".inf": math.inf, "+.inf": math.inf, "-.inf": -math.inf, ".nan": math.nan}
_WORDS: dict[str, Any] = {"": None, "~": None, "null": None, "true": True, "false": False}
_LARGEST = 20_000


@dataclass
class Document:
    """What a YAML file says and where it says it.

    Attributes:
        file: Name for messages.
        value: The content as dicts, lists and scalars; None when there is none.
        keys: Line and column (from 1) of each mapping key, by path.
        values: Line and column of each value, by path.
        problems: Mistakes of the YAML itself.
        overridden: Paths set from the command line, each with what to call the place in a message.
    """

    file: str
    value: Any = None
    keys: dict[Path, tuple[int, int]] = field(default_factory=dict)
    values: dict[Path, tuple[int, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    overridden: dict[Path, str] = field(default_factory=dict)

    def problem(self, path: Path, message: str, *, at_key: bool = False) -> Problem:
        """A mistake at a path; where the path does not exist, at its nearest ancestor."""
        for place, name in self.overridden.items():
            if path[: len(place)] == place:
                return Problem(name, 1, 1, dotted(path), message)
        marks = self.keys if at_key else self.values
        for length in range(len(path), -1, -1):
            mark = marks.get(path[:length]) or self.values.get(path[:length])
            if mark is not None:
                return Problem(self.file, *mark, dotted(path), message)
        return Problem(self.file, 1, 1, dotted(path), message)


def dotted(path: Path) -> str:
    """A path as a suite's user would write it.

    >>> dotted(("evaluations", "whitebox", "attacks", 1))
    'evaluations.whitebox.attacks.1'
    """
    return ".".join(str(part) for part in path)


def scalar(text: str) -> Any:
    """The value of a plain (unquoted) scalar under the YAML 1.2 core schema.

    >>> scalar("1e-3"), scalar("on"), scalar("010"), scalar("8/255"), scalar("true")
    (0.001, 'on', 10, '8/255', True)
    """
    word = text if text in ("", "~") else text.lower()
    if word in _WORDS and text in (word, word.capitalize(), word.upper()):
        return _WORDS[word]
    if _INT.fullmatch(text) and len(text) < 400:
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return _SPECIAL.get(word, text)


def parse(text: str, file: str) -> Document:
    """Read one YAML document. Mistakes are collected in its `problems`, none is raised."""
    document = Document(file)
    try:
        nodes = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        reason = " ".join(part for part in (error.context, error.problem) if part)
        document.problems.append(Problem(file, line, column, "", f"not valid YAML: {reason}"))
        return document
    except yaml.YAMLError as error:
        position = getattr(error, "position", 0)
        before = text[:position] if isinstance(position, int) else ""
        line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
        reason = getattr(error, "reason", str(error))
        document.problems.append(Problem(file, line, column, "", f"not valid YAML: {reason}"))
        return document
    except RecursionError:
        document.problems.append(Problem(file, 1, 1, "", "not a suite: it is nested too deeply"))
        return document
    if len(nodes) > 1:
        mark = nodes[1].start_mark
        document.problems.append(
            Problem(file, mark.line + 1, mark.column + 1, "", "expected one document, found a second one here")
        )
    elif nodes:
        _Walk(document).start(nodes[0])
    return document


class _Walk:
    """Turns nodes into values and notes marks on the way."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.count = 0
        self.above: list[yaml.Node] = []

    def start(self, node: yaml.Node) -> None:
        try:
            self.document.value = self.value(node, ())
        except RecursionError:
            self.complain(node, (), "not a suite: it is nested too deeply")

    def complain(self, node: yaml.Node, path: Path, message: str) -> None:
        mark = node.start_mark
        problem = Problem(self.document.file, mark.line + 1, mark.column + 1, dotted(path), message)
        self.document.problems.append(problem)

    def value(self, node: yaml.Node, path: Path) -> Any:
        self.document.values[path] = (node.start_mark.line + 1, node.start_mark.column + 1)
        self.count += 1
        if self.count >= _LARGEST:
            if self.count == _LARGEST:
                self.complain(node, path, f"the file expands to more than {_LARGEST:,} values; use fewer aliases")
            return None
        if node in self.above:
            self.complain(node, path, "an alias refers to a value that contains it")
            return None
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node, path)
        if not node.tag.startswith("tag:yaml.org,2002:") or node.tag.rpartition(":")[2] not in ("map", "seq"):
            self.complain(node, path, f"the tag {_short(node.tag)} is not allowed; a suite holds plain values")
            return None
        self.above.append(node)
        try:
            if isinstance(node, yaml.MappingNode):
                return self.mapping(node, path)
            return [self.value(child, (*path, index)) for index, child in enumerate(node.value)]
        finally:
            self.above.pop()

    def scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        if node.style in ("'", '"', "|", ">") and node.tag == "tag:yaml.org,2002:str":
            return node.value
        if node.style is None and node.tag.startswith("tag:yaml.org,2002:") and "python" not in node.tag:
            return scalar(node.value)
        self.complain(node, path, f"the tag {_short(node.tag)} is not allowed; a suite holds plain values")
        return None

    def mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        first: dict[str, int] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self.complain(key_node, path, "expected a name as key, found a list or a mapping")
                continue
            key = key_node.value
            line = key_node.start_mark.line + 1
            here = (*path, key)
            if key in first:
                self.complain(key_node, here, f"duplicate key '{key}', first at line {first[key]}")
                continue
            first[key] = line
            self.document.keys[here] = (line, key_node.start_mark.column + 1)
            result[key] = self.value(value_node, here)
        return result


def _short(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!")
