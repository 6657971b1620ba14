"""From a suite file to a checked `Suite`, or to all of its mistakes at once. Nothing here needs torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any

from bench.errors import Problem, SuiteError, UsageError, did_you_mean
from bench.suite import names, overrides, schema
from bench.suite.check_evaluations import check_evaluation
from bench.suite.check_models import check_data, check_model
from bench.suite.findings import Block, Findings
from bench.suite.messages import show
from bench.suite.spec import Suite
from bench.suite.yaml_source import Path, parse


def read(file: str | FilePath, assignments: Sequence[str] = ()) -> Suite:
    """Read and check a suite file, with `--set` assignments applied.

    Raises:
        UsageError: There is no such file, or it cannot be read.
        SuiteError: The suite has mistakes; the error lists them all.
    """
    path = FilePath(file)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        near = did_you_mean(path.name, (entry.name for entry in _siblings(path)))
        raise UsageError(f"there is no suite at {path}{near}") from None
    except IsADirectoryError:
        raise UsageError(f"{path} is a folder; expected a suite file such as {path / 'robustness.yaml'}") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        column = error.start - error.object.rfind(b"\n", 0, error.start)
        message = "expected UTF-8 text, found bytes that are not"
        raise SuiteError([Problem(str(file), line, column, "", message)]) from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    return check(text, str(file), assignments)


def _siblings(path: FilePath) -> list[FilePath]:
    return list(path.parent.glob("*.y*ml")) if path.parent.is_dir() else []


def check(text: str, file: str, assignments: Sequence[str] = ()) -> Suite:
    """Check the text of a suite; `file` names it in messages. Raises `SuiteError` with every mistake."""
    document = parse(text, file)
    if not document.problems:
        if document.value is None:
            message = "the suite is empty; expected the keys suite, data, models and evaluations"
            document.problems.append(Problem(file, 1, 1, "", message))
        elif not isinstance(document.value, dict):
            message = f"expected a mapping with the keys suite, data, models, ..., found {show(document.value)}"
            document.problems.append(document.problem((), message))
    if document.problems:
        raise SuiteError(document.problems)
    for assignment in assignments:
        overrides.apply(document, assignment)
    suite = _SuiteCheck(document).suite(text, assignments)
    if document.problems or suite is None:
        raise SuiteError(document.problems)
    return suite


class _SuiteCheck(Findings):
    """Builds the suite of one document."""

    def suite(self, text: str, assignments: Sequence[str]) -> Suite | None:
        """The suite; None when the document's problems say why not."""
        header = self.block(schema.Header, self.raw, ())
        data = {name: checked for name, block in self.section("data") if (checked := check_data(self, name, block))}
        models = {name: model for name, block in self.section("models") if (model := check_model(self, name, block))}
        evaluations = {
            name: evaluation
            for name, block in self.section("evaluations")
            if (evaluation := check_evaluation(self, name, block))
        }
        if header is None:
            return None
        if not models and not self.document.problems:
            self.add(("suite",), "the suite names no models, so there is nothing to do; add a block `models:`")
        suite = Suite(
            self.document.file, header.suite, header.description, header.seed, data, models, evaluations,
            self.entries("expect", schema.Expectation), self.entries("quoted", schema.Quote),
            text=text, overrides=tuple(assignments),
        )  # fmt: skip
        if not self.document.problems:
            self.rows(suite)
            self.ranges(suite)
        return Suite(**{**vars(suite), "warnings": tuple(self.warnings)})

    def section(self, name: str) -> list[tuple[str, Any]]:
        """The named blocks of a section whose names are fit for row ids."""
        section = self.raw.get(name)
        if not isinstance(section, Mapping):
            return []
        for key in section:
            if not names.is_name(key):
                self.add(
                    (name, key),
                    "expected a name of letters, digits and '-_.+' (it is part of row ids)",
                    at_key=True,
                )
        return [(key, value) for key, value in section.items() if isinstance(value, Mapping)]

    def entries(self, name: str, model: type[Block]) -> tuple[Block, ...]:
        """The entries of a list section that are well formed."""
        section = self.raw.get(name)
        if not isinstance(section, list):
            return ()
        checked = [
            self.block(model, value, (name, index)) for index, value in enumerate(section) if isinstance(value, Mapping)
        ]
        return tuple(entry for entry in checked if entry is not None)

    def rows(self, suite: Suite) -> None:
        """Rows that are expected or quoted exist."""
        known = set(names.all_rows(suite))
        for section in ("expect", "quoted"):
            seen: dict[str, int] = {}
            for index, entry in enumerate(getattr(suite, section)):
                if entry.row not in known:
                    near = did_you_mean(entry.row, known) if known else "; the suite has no evaluations"
                    message = f"no row '{entry.row}'{near}"
                    if len(message) > 300:
                        message = f"no row '{entry.row}'; `bench plan` lists all {len(known)} rows"
                    self.add((section, index, "row"), message)
                if section == "quoted" and entry.row in seen:
                    self.add((section, index, "row"), f"quoted already at entry {seen[entry.row] + 1}")
                seen[entry.row] = index
        for index, entry in enumerate(suite.expect):
            if entry.min is None and entry.max is None and entry.equals is None:
                self.add(("expect", index), "expected `min`, `max` or `equals`, found none of them")

    def ranges(self, suite: Suite) -> None:
        """Warn of radii wider than the data."""
        for name, block in suite.evaluations.items():
            if not isinstance(block, schema.Robustness | schema.Transfer) or block.threat.norm != "linf":
                continue
            low, high = getattr(suite.data[block.data].options, "range", (0.0, 1.0))
            for index, value in enumerate(block.threat.epsilon):
                if value > high - low:
                    path: Path = ("evaluations", name, "threat", "epsilon", index)
                    message = f"epsilon {value:g} is wider than the data range [{low:g}, {high:g}]"
                    self.warnings.append(str(self.document.problem(path, f"warning: {message}")))
