"""How the text of a suite becomes values, and what of it is refused."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from bench.errors import SuiteError, UsageError
from bench.suite.check import read
from bench.suite.yaml_source import Document, parse


def read_value(text: str) -> Any:
    document = parse(text, "s.yaml")
    assert document.problems == []
    return document.value


def problems(text: str) -> list[str]:
    return [str(problem) for problem in parse(text, "s.yaml").problems]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1e-3", 0.001), ("1E3", 1000.0), (".5", 0.5), ("-2.", -2.0), ("010", 10), ("0x10", 16), ("0o10", 8),
        ("-7", -7), ("on", "on"), ("off", "off"), ("no", "no"), ("yes", "yes"), ("10:30", "10:30"), ("1_000", "1_000"),
        ("2024-01-02", "2024-01-02"), ("true", True), ("FALSE", False), ("tRue", "tRue"), ("null", None), ("~", None),
        ("", None), ("8/255", "8/255"), ("'5'", "5"), ('"true"', "true"), ("'1e-3'", "1e-3"), ("e5", "e5"),
    ],
)  # fmt: skip
def test_scalars(written: str, meant: object) -> None:
    value = read_value(f"a: {written}")["a"]
    assert value == meant
    assert type(value) is type(meant)


def test_a_ratio_is_exact(valid: str, tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(valid)
    suite = read(file)
    assert suite.evaluations["whitebox"].threat.epsilon == [0.1, 8 / 255]  # type: ignore[union-attr]
    recipe = suite.models["wide"].recipe
    assert recipe is not None
    assert recipe.options["epsilon"] == float(Fraction(8, 255))


def test_places_are_of_keys_and_values() -> None:
    document = parse("a: 1\nb:\n  - x\n  - {c: 2}\n", "s.yaml")
    assert document.keys[("b",)] == (2, 1)
    assert document.values[("b", 0)] == (3, 5)
    assert document.keys[("b", 1, "c")] == (4, 6)
    assert document.values[("b", 1, "c")] == (4, 9)


def test_keys_are_texts_whatever_they_look_like() -> None:
    assert list(read_value("1: a\ntrue: b\n~: c\n2.50: d")) == ["1", "true", "~", "2.50"]


def test_aliases_give_copies() -> None:
    value = read_value("a: &x {n: [1]}\nb: *x\n")
    assert value == {"a": {"n": [1]}, "b": {"n": [1]}}
    value["a"]["n"].append(2)
    assert value["b"]["n"] == [1]


def test_surrogate_pairs_as_json_writes_them_are_one_character() -> None:
    assert read_value('{"a": "\\ud83d\\ude42"}') == {"a": "🙂"}


def test_a_duplicate_key_is_told_with_its_first_line() -> None:
    assert problems("a: 1\nb: {c: 1, d: 2, c: 3}\na: 4\n") == [
        "s.yaml:2:17: b.c: duplicate key 'c', first at line 2",
        "s.yaml:3:1: a: duplicate key 'a', first at line 1",
    ]


TAG = "is not allowed; write the value without it"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a:\n\tb: 1\n", "s.yaml:2:1: not valid YAML: found a tab; indent with spaces"),
        ("a: b\0c", "s.yaml:1:5: not valid YAML: the character U+0000 is not allowed"),
        ("\na: \x07", "s.yaml:2:4: not valid YAML: the character U+0007 is not allowed"),
        ("a: 1\nb 2\nc: 3", "s.yaml:2:1: not valid YAML: expected ':' and a value after this key"),
        (
            "a: [1, 2\n",
            "s.yaml:2:1: not valid YAML: expected ',' or ']', but got the end of the file "
            "(while parsing a flow sequence that begins at line 1)",
        ),
        ("a: *b", "s.yaml:1:4: not valid YAML: found undefined alias 'b'"),
        ("a: 1\n---\nb: 2\n", "s.yaml:2:1: expected one document, found a second one here; keep one suite a file"),
        ("a: &a [1, *a]", "s.yaml:1:4: a.1: an alias refers to a value that contains it"),
        ("a: !!python/object/apply:os.system ['x']", f"s.yaml:1:4: a: the tag !!python/object/apply:os.system {TAG}"),
        ("a: !!python/name:os.system", f"s.yaml:1:4: a: the tag !!python/name:os.system {TAG}"),
        ("a: !mine 1", f"s.yaml:1:4: a: the tag !mine {TAG}"),
        ("a: !!str 123", f"s.yaml:1:4: a: the tag !!str {TAG}"),
        ("a: !!map {b: 1}", f"s.yaml:1:4: a: the tag !!map {TAG}"),
        ("!!str a: 1", "s.yaml:1:1: a: the tag !!str is not allowed; write the key without it"),
        ("<<: {a: 1}", "s.yaml:1:1: <<: merge keys (<<) are not part of YAML 1.2; write the keys out"),
        ("? [a]\n: 1", "s.yaml:1:3: expected a name as key, found a list or a mapping"),
        ("a: 1e400", "s.yaml:1:4: a: expected a finite number, found 1e400"),
        ("a: -.inf", "s.yaml:1:4: a: expected a finite number, found -.inf"),
        ("a: .NaN", "s.yaml:1:4: a: expected a finite number, found .NaN"),
        ("a: " + "9" * 5000, "s.yaml:1:4: a: expected a finite number, found " + "9" * 57 + "..."),
        (
            "a: 9223372036854775808",
            "s.yaml:1:4: a: expected a whole number of at most 64 bits, found 9223372036854775808",
        ),
        (
            "a: 1/1000000000000000000000",
            "s.yaml:1:4: a: expected a ratio of whole numbers of at most 64 bits, found 1/1000000000000000000000",
        ),
        ('a: "\\ud800"', "s.yaml:1:4: a: expected text, found an escape that stands for no character"),
        ('a: "\\UFFFFFFFF"', "s.yaml:1:7: not valid YAML: found a number or an escaped character that is out of range"),
    ],
)
def test_what_is_refused(text: str, expected: str) -> None:
    assert expected in problems(text)


def test_numbers_up_to_64_bits_are_read() -> None:
    assert read_value("[9223372036854775807, -9223372036854775808]") == [2**63 - 1, -(2**63)]


@pytest.mark.parametrize("levels", [41, 200, 20_000])
def test_deep_nesting_is_refused(levels: int) -> None:
    (problem,) = parse("a: " + "[" * levels + "]" * levels, "s.yaml").problems
    assert "nested too deeply; a suite has at most 40 levels" in problem.message
    assert (problem.line, problem.file) == (1, "s.yaml")
    assert problem.column > 1


def test_nesting_of_forty_levels_is_read() -> None:
    assert parse("[" * 40 + "]" * 40, "s.yaml").problems == []


def test_a_billion_laughs_is_refused_at_once() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    document: Document = parse("\n".join(lines), "s.yaml")
    assert [problem.message for problem in document.problems] == [
        "a suite holds at most 20,000 values, those behind aliases included"
    ]
    assert len(document.values) < 50_000


class TestFiles:
    """Bytes on disk, before they are YAML."""

    def read(self, folder: Path, content: bytes) -> str:
        file = folder / "s.yaml"
        file.write_bytes(content)
        with pytest.raises((SuiteError, UsageError)) as caught:
            read(file)
        return str(caught.value).replace(f"{folder}/", "")

    def test_bytes_that_are_not_utf8(self, tmp_path: Path) -> None:
        expected = "s.yaml:2:3: expected UTF-8 text, found bytes that are not; save the file as UTF-8"
        assert self.read(tmp_path, b"suite: x\n# \xff\n") == expected

    def test_utf16(self, tmp_path: Path, valid: str) -> None:
        assert self.read(tmp_path, valid.encode("utf-16")).startswith("s.yaml:1:1: expected UTF-8 text")

    @pytest.mark.parametrize(
        ("content", "found"),
        [(b"", "an empty file"), (b"# a comment\n", "an empty file"), (b"- a\n- b\n", "a list of 2"), (b"x", "'x'")],
    )
    def test_no_mapping(self, tmp_path: Path, content: bytes, found: str) -> None:
        expected = "expected a mapping with the keys suite, data, models and evaluations"
        assert self.read(tmp_path, content) == f"s.yaml:1:1: {expected}, found {found}"

    def test_a_file_that_is_no_suite_by_its_size(self, tmp_path: Path) -> None:
        assert "is larger than 1 MiB; expected a suite file" in self.read(tmp_path, b"#" * (1 << 20) + b"#")

    @pytest.mark.parametrize("line_end", ["\r\n", "\r", "\n"])
    @pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
    def test_line_ends_and_byte_order_marks(self, tmp_path: Path, valid: str, line_end: str, mark: bytes) -> None:
        file = tmp_path / "s.yaml"
        file.write_bytes(mark + valid.replace("\n", line_end).encode())
        assert read(file).name == "example"
        wrong = valid.replace("seed: 3", "seed: x").replace("\n", line_end)
        assert self.read(tmp_path, mark + wrong.encode()) == "s.yaml:3:7: seed: expected a whole number, found 'x'"
