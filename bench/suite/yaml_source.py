"""YAML 1.2 with a memory of where everything was written.

Differences from PyYAML's own reading: ``1e-3`` is a number, ``on`` and ``no`` and ``10:30`` are strings, ``010`` is
ten, a key given twice is an error, and tags are refused, so that nothing in a file can construct an object.
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
_RATIO = re.compile(r"\s*[-+]?[0-9]+\s*/\s*[0-9]+\s*")
_SPECIAL = {".inf": math.inf, "+.inf": math.inf, "-.inf": -math.inf, ".nan": math.nan}
_WORDS: dict[str, Any] = {"": None, "~": None, "null": None, "true": True, "false": False}
_TOKEN = re.compile("'?<([a-z ]+)>'?")
_TOKENS = {"stream end": "the end of the file", "scalar": "a value", "block end": "the end of the block"}
_LARGEST = 20_000
_DEEPEST = 40
_LONGEST_INTEGER = 400
_LONGEST_TERM = 20
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass
class Document:
    """What a YAML file says and where it says it.

    Attributes:
        file: Name for messages.
        value: The content as dicts, lists and scalars; None when there is none.
        keys: Line and column (from 1) of each mapping key, by path.
        values: Line and column of each value, by path.
        problems: Mistakes found so far.
        refused: Paths whose values could not be read; what follows from that is not worth a second message.
        overridden: Paths set from the command line, each with what to call the place in a message.
    """

    file: str
    value: Any = None
    keys: dict[Path, tuple[int, int]] = field(default_factory=dict)
    values: dict[Path, tuple[int, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    refused: set[Path] = field(default_factory=set)
    overridden: dict[Path, str] = field(default_factory=dict)

    def problem(self, path: Path, message: str, *, at_key: bool = False) -> Problem:
        """A mistake at a path; where the path does not exist, at its nearest ancestor."""
        assignments = [place for place in self.overridden if path[: len(place)] == place]
        if assignments:
            return Problem(self.overridden[max(assignments, key=len)], 1, 1, dotted(path), message)
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
    return ".".join(_clip(part) if part.isprintable() else _clip(repr(part)) for part in map(str, path))


def scalar(text: str) -> Any:
    """The value of a plain (unquoted) scalar under the YAML 1.2 core schema.

    >>> scalar("1e-3"), scalar("on"), scalar("010"), scalar("8/255"), scalar("true")
    (0.001, 'on', 10, '8/255', True)
    """
    word = text if text in ("", "~") else text.lower()
    if word in _WORDS and text in (word, word.capitalize(), word.upper()):
        return _WORDS[word]
    if _INT.fullmatch(text):
        if len(text) > _LONGEST_INTEGER:
            return math.inf
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return _SPECIAL.get(word, text)


class _Loader(yaml.SafeLoader):
    """PyYAML's reader, which here leaves the meaning of values to `scalar`: a node has a tag only if one is written."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:  # noqa: ARG002 - PyYAML's signature
        return ""


def parse(text: str, file: str) -> Document:
    """Read one YAML document. Mistakes are collected in its `problems`, none is raised."""
    document = Document(file)
    loader: _Loader | None = None
    try:
        loader = _Loader(text)
        node = loader.get_node() if loader.check_node() else None
        second = loader.peek_event().start_mark if loader.check_node() else None  # type: ignore[no-untyped-call]
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:
        line, column, reason = _explain(error, text, loader)
        document.problems.append(Problem(file, line, column, "", f"not valid YAML: {reason}"))
        return document
    if second is not None:
        message = "expected one document, found a second one here; keep one suite a file"
        document.problems.append(Problem(file, second.line + 1, second.column + 1, "", message))
    elif node is not None:
        document.value = _Walk(document).value(node, ())
    return document


def _explain(error: Exception, text: str, loader: _Loader | None) -> tuple[int, int, str]:
    """Line, column and reason of what PyYAML stumbled over."""
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        reason = _TOKEN.sub(lambda token: _TOKENS.get(token[1], token[1]), error.problem or "")
        if "'\\t'" in reason:
            reason = "found a tab; indent with spaces"
        elif reason == "could not find expected ':'":
            mark, reason = error.context_mark or mark, "expected ':' and a value after this key"
        elif error.context and error.context_mark:
            reason += f" ({error.context} that begins at line {error.context_mark.line + 1})"
        return (mark.line + 1, mark.column + 1, reason) if mark else (1, 1, reason)
    if isinstance(error, yaml.reader.ReaderError):
        before = text[: error.position]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        return line, column, f"the character U+{ord(text[error.position]):04X} is not allowed"
    mark = loader.get_mark() if loader is not None else None
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    if isinstance(error, RecursionError):
        return line, column, f"it is nested too deeply; a suite has at most {_DEEPEST} levels"
    return line, column, "found a number or an escaped character that is out of range"


class _Walk:
    """Turns nodes into values and notes marks on the way."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.count = 0
        self.above: list[yaml.Node] = []

    def refuse(self, node: yaml.Node, path: Path, message: str) -> None:
        """Note a mistake in a value that cannot be used."""
        self.document.refused.add(path)
        self.complain(node, path, message)

    def complain(self, node: yaml.Node, path: Path, message: str) -> None:
        mark = node.start_mark
        problem = Problem(self.document.file, mark.line + 1, mark.column + 1, dotted(path), message)
        self.document.problems.append(problem)

    def value(self, node: yaml.Node, path: Path) -> Any:
        self.document.values[path] = (node.start_mark.line + 1, node.start_mark.column + 1)
        self.count += 1
        if self.count >= _LARGEST:
            if self.count == _LARGEST:
                self.complain(node, path, f"a suite holds at most {_LARGEST:,} values, those behind aliases included")
            self.document.refused.add(())
        elif node in self.above:
            self.refuse(node, path, "an alias refers to a value that contains it")
        elif len(path) > _DEEPEST:
            self.refuse(node, path[:8], f"nested too deeply; a suite has at most {_DEEPEST} levels")
        elif node.tag:
            self.refuse(node, path, f"the tag {_short(node.tag)} is not allowed; write the value without it")
        elif isinstance(node, yaml.ScalarNode):
            return self.scalar(node, path)
        else:
            self.above.append(node)
            inside = self.mapping(node, path) if isinstance(node, yaml.MappingNode) else self.entries(node, path)
            self.above.pop()
            return inside
        return None

    def entries(self, node: yaml.Node, path: Path) -> list[Any]:
        return [self.value(child, (*path, index)) for index, child in enumerate(node.value)]

    def scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        found = scalar(node.value) if node.style is None else _characters(node.value)
        if isinstance(found, float) and not math.isfinite(found):
            self.refuse(node, path, f"expected a finite number, found {_clip(node.value)}")
        elif isinstance(found, int) and not -(2**63) <= found < 2**63:
            self.refuse(node, path, f"expected a whole number of at most 64 bits, found {_clip(node.value)}")
        elif isinstance(found, str) and _RATIO.fullmatch(found) and max(map(len, found.split("/"))) > _LONGEST_TERM:
            self.refuse(node, path, f"expected a ratio of whole numbers of at most 64 bits, found {_clip(found)}")
        elif isinstance(found, str) and _SURROGATE.search(found):
            self.refuse(node, path, "expected text, found an escape that stands for no character")
        else:
            return found
        return None

    def mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        first: dict[str, int] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self.complain(key_node, path, "expected a name as key, found a list or a mapping")
                continue
            key = _characters(key_node.value)
            line = key_node.start_mark.line + 1
            here = (*path, key)
            if key_node.tag:
                self.refuse(key_node, here, f"the tag {_short(key_node.tag)} is not allowed; write the key without it")
            elif key == "<<" and key_node.style is None:
                self.refuse(key_node, here, "merge keys (<<) are not part of YAML 1.2; write the keys out")
            elif _SURROGATE.search(key):
                self.complain(key_node, path, "expected a name as key, found an escape that stands for no character")
            elif key in first:
                self.complain(key_node, here, f"duplicate key '{_clip(key)}', first at line {first[key]}")
            else:
                first[key] = line
                self.document.keys[here] = (line, key_node.start_mark.column + 1)
                result[key] = self.value(value_node, here)
        return result


def _characters(text: str) -> str:
    """A text whose escaped surrogate pairs, as JSON writes them, are the characters they stand for."""
    if not _SURROGATE.search(text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def _short(tag: str) -> str:
    return _clip(tag.replace("tag:yaml.org,2002:", "!!"))


def _clip(text: str) -> str:
    """A text short enough for a message."""
    return text if len(text) <= 60 else f"{text[:57]}..."
