"""From a suite file to a checked `Suite`, or to all of its mistakes at once. Nothing here needs torch."""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any, TypeVar

from bench.data import value_range
from bench.defenses.catalogue import DEFENSES
from bench.errors import Problem, SuiteError, UsageError, did_you_mean
from bench.suite import names, overrides, schema
from bench.suite.check_evaluations import check_evaluation
from bench.suite.check_models import check_data, check_model
from bench.suite.controls import with_controls
from bench.suite.findings import Block, Findings
from bench.suite.messages import nearest, quote, show
from bench.suite.spec import DataSpec, Suite
from bench.suite.yaml_source import Path, parse

_LARGEST_FILE = 1 << 20
_SECTIONS = "suite, data, models and evaluations"

Key = TypeVar("Key")
Named = TypeVar("Named")


def read(file: str | FilePath, assignments: Sequence[str] = ()) -> Suite:
    """Read and check a suite file, with `--set` assignments applied.

    Raises:
        UsageError: There is no such file, or it cannot be read.
        SuiteError: The suite has mistakes; the error lists them all.
    """
    path = FilePath(file)
    try:
        with path.open("rb") as opened:
            content = opened.read(_LARGEST_FILE + 1)
        text = content.decode("utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"there is no suite at {path}{_nearest(path)}") from None
    except IsADirectoryError:
        raise UsageError(f"{path} is a folder; expected a suite file{_nearest(path / path.name)}") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        column = error.start - error.object.rfind(b"\n", 0, error.start)
        message = "expected UTF-8 text, found bytes that are not; save the file as UTF-8"
        raise SuiteError([Problem(str(file), line, column, "", message)]) from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > _LARGEST_FILE:
        raise UsageError(f"{path} is larger than 1 MiB; expected a suite file, which is a few pages of YAML")
    return check(text, str(file), assignments)


def _nearest(path: FilePath) -> str:
    """The end of a sentence on a file that is not there: the suites that are, if any are near."""
    folders = dict.fromkeys([path.parent, FilePath("suites")])
    found = [str(entry) for folder in folders if folder.is_dir() for entry in folder.glob("*.y*ml")]
    by_name = {FilePath(name).name: name for name in reversed(found)}
    for wanted in (path.name, f"{path.name}.yaml"):
        if wanted in by_name:
            return f"; did you mean '{by_name[wanted]}'?"
    return did_you_mean(str(path), found[:20]) if found else ""


def check(text: str, file: str, assignments: Sequence[str] = ()) -> Suite:
    """Check the text of a suite; `file` names it in messages. Raises `SuiteError` with every mistake."""
    document = parse(text, file)
    if not isinstance(document.value, dict):
        if not document.problems:
            found = "an empty file" if document.value is None else show(document.value)
            message = f"expected a mapping with the keys {_SECTIONS}, found {found}"
            document.problems.append(document.problem((), message))
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
        header = self.block(schema.Header, self.raw, ()) or self.partial(schema.Header, self.raw)
        self.short(getattr(header, "suite", ""), ("suite",))
        blocks = {section: self.section(section) for section in ("data", "models", "evaluations")}
        data = _good({name: check_data(self, name, block) for name, block in blocks["data"]})
        models = _good({name: check_model(self, name, block) for name, block in blocks["models"]})
        evaluations: dict[str, schema.AnyEvaluation] = _good(
            {name: check_evaluation(self, name, block) for name, block in blocks["evaluations"]}
        )
        if not self.raw.get("models") and not self.document.problems:
            self.add(("suite",), "the suite names no models, so there is nothing to do; add a block `models:`")
        models, evaluations = with_controls(self, data, models, evaluations)
        expect = _good(self.entries("expect", schema.Expectation))
        quoted = _good(self.entries("quoted", schema.Quote))
        for index, entry in expect.items():
            self.bounds(entry, ("expect", index))
            self.audited(entry, evaluations.get(entry.row.partition("/")[0]), ("expect", index))
        gate = getattr(header, "gate", None) or schema.Gate()
        suite = Suite(
            self.document.file, getattr(header, "suite", ""), getattr(header, "description", ""),
            getattr(header, "seed", 0), data, models, evaluations, tuple(expect.values()), tuple(quoted.values()),
            gate, getattr(header, "intervals", "wilson"), text=text, overrides=tuple(assignments),
        )  # fmt: skip
        self.rows(suite)
        self.gated(gate, suite)
        if self.document.problems:
            return None
        self.ranges(suite)
        return Suite(**{**vars(suite), "warnings": tuple(self.warnings)})

    def section(self, name: str) -> list[tuple[str, Any]]:
        """The named blocks of a section; names must be fit for row ids."""
        section = self.raw.get(name)
        if not isinstance(section, Mapping):
            return []
        for key in section:
            self.short(key, (name, key), at_key=True)
            if key == names.REAL_DATA:
                self.add((name, key), f"'{key}' is the name of a row of its own; choose another", at_key=True)
            elif not names.is_name(key):
                message = "expected a name of letters, digits and '-_.+' that begins with a letter or digit"
                self.add((name, key), f"{message} (it is part of row ids)", at_key=True)
        return [(key, value) for key, value in section.items() if isinstance(value, Mapping)]

    def entries(self, name: str, model: type[Block]) -> dict[int, Block | None]:
        """The entries of a list section by position; None for those that have mistakes."""
        section = self.raw.get(name)
        if not isinstance(section, list):
            return {}
        return {
            index: self.block(model, value, (name, index))
            for index, value in enumerate(section)
            if isinstance(value, Mapping)
        }

    def rows(self, suite: Suite) -> None:
        """Rows that are expected or quoted exist, as far as their evaluations are free of mistakes."""
        known = dict.fromkeys(names.all_rows(suite))
        kinds = {names.without_model(row)[1] for row in known}
        written = self.raw.get("evaluations", {})
        if not isinstance(written, Mapping):
            return
        broken = set(written) - set(suite.evaluations)
        for section in ("expect", "quoted"):
            seen: dict[str, int] = {}
            listed = self.raw.get(section)
            for index, entry in enumerate(listed if isinstance(listed, list) else []):
                row = entry.get("row") if isinstance(entry, Mapping) else None
                if not isinstance(row, str) or row.partition("/")[0] in broken:
                    continue
                place: Path = (section, index, "row")
                if section == "quoted" and entry.get("only") is True:
                    self.quoted_only(row, known, kinds, place)
                elif row not in known:
                    self.add(place, f"no row {quote(row)}{_near_row(row, known)}")
                if section == "quoted" and row in seen:
                    self.add(place, f"quoted already at entry {seen[row] + 1}; keep one of them")
                seen.setdefault(row, index)

    def quoted_only(self, row: str, known: Collection[str], kinds: Collection[str], place: Path) -> None:
        """A row of a model that is only quoted differs from one of the suite in the model alone."""
        model, kind = names.without_model(row)
        if row in known:
            self.add(place, f"the suite has the row {quote(row)} itself; leave out `only`")
        elif kind not in kinds:
            example = f", such as {quote(next(iter(known)))}" if known else ""
            self.add(place, f"expected a row of this suite with another name in place of the model's{example}")
        elif not names.is_name(model):
            self.add(place, f"expected a name of letters, digits and '-_.+' as the model, found {quote(model)}")

    def gated(self, gate: schema.Gate, suite: Suite) -> None:
        """Every entry of the gate matches a row."""
        rows = list(names.all_rows(suite))
        for index, entry in enumerate(gate.rows if rows else []):
            if not any(fnmatch.fnmatchcase(row, entry.match) for row in rows):
                self.add(
                    ("gate", "rows", index, "match"),
                    f"{quote(entry.match)} matches none of the {len(rows)} rows; `bench plan` lists them",
                )

    def bounds(self, entry: schema.Expectation, path: Path) -> None:
        """An expectation that something can meet and something can miss."""
        if not entry.of_figure and not entry.of_verdict:
            self.add(path, "expected `min`, `max`, `equals`, `model_verdict` or `row_verdict`, found none of them")
        if entry.min is not None and entry.max is not None and entry.min > entry.max:
            self.add((*path, "min"), f"`min` {entry.min:g} is above `max` {entry.max:g}, so that nothing can pass")
        if "tolerance" in entry.model_fields_set and entry.equals is None:
            self.add((*path, "tolerance"), "`tolerance` goes with `equals`, which is missing", at_key=True)

    def audited(self, entry: schema.Expectation, block: schema.AnyEvaluation | None, path: Path) -> None:
        """A verdict is expected only where somebody looks."""
        for key in ("model_verdict", "row_verdict"):
            if getattr(entry, key) and block is not None and getattr(block, "audit", "off") == "off":
                name = entry.row.partition("/")[0]
                self.add((*path, key), f"'{name}' is not audited; add `audit: quick` to it", at_key=True)
        if entry.row_verdict and entry.row.split("/")[2:3] == [names.CLEAN]:
            self.add((*path, "row_verdict"), "a row before any attack has no verdict on its attack", at_key=True)

    def ranges(self, suite: Suite) -> None:
        """Warn of radii wider than the data, and of defences made for another range."""
        for name, block in suite.evaluations.items():
            if not isinstance(block, schema.Robustness | schema.Transfer):
                continue
            self.defended(name, block, suite)
            for index, value in enumerate(block.threat.epsilon if block.threat.norm == "linf" else []):
                path: Path = ("evaluations", name, "threat", "epsilon", index)
                self.wide(value, suite.data[block.data], path)
        for name, model in suite.models.items():
            options = model.recipe.options if model.recipe is not None else {}
            if options.get("norm") == "linf" and model.train_data is not None:
                self.wide(options["epsilon"], suite.data[model.train_data], ("models", name, "train", "epsilon"))

    def defended(self, name: str, block: schema.Robustness | schema.Transfer, suite: Suite) -> None:
        """Warn of defences made for another range than the data's."""
        key = "models" if isinstance(block, schema.Robustness) else "victims"
        data = suite.data[block.data]
        low, high = value_range(data.source, data.options)
        for place, model in enumerate(getattr(block, key)):
            for use in suite.models[model].block.defenses:
                wanted = (low, high) if use.imported else DEFENSES[use.name].traits.get("range", (low, high))
                if wanted != (low, high):
                    ranges = f"[{wanted[0]:g}, {wanted[1]:g}], the data has [{low:g}, {high:g}]"
                    message = f"warning: '{use.name}' of '{model}' is for inputs in {ranges}"
                    self.warnings.append(str(self.document.problem(("evaluations", name, key, place), message)))

    def wide(self, epsilon: float, data: DataSpec, path: Path) -> None:
        """Warn of one radius if it is wider than the data."""
        low, high = value_range(data.source, data.options)
        if epsilon > high - low:
            message = f"warning: epsilon {epsilon:g} is wider than the data range [{low:g}, {high:g}]"
            self.warnings.append(str(self.document.problem(path, message)))


def _good(checked: Mapping[Key, Named | None]) -> dict[Key, Named]:
    """The entries that are free of mistakes."""
    return {key: value for key, value in checked.items() if value is not None}


def _near_row(row: str, known: Collection[str]) -> str:
    """A hint at the row that was meant, or where to find it."""
    if not known:
        return "; the suite has no evaluations"
    return nearest(row, known) or f"; `bench plan` lists the {len(known)} rows there are"
