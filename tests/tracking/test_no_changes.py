"""Changes that mean nothing cost nothing: a second run has nothing to do."""

from __future__ import annotations

import dataclasses
import os
import py_compile
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.tracking.projects import COMMON, FIXED, Project, own_everything, planned, save_checkpoint

SOURCES = ("nets.py", "tilts.py", "guard.py", "steps.py", "sizes.py", "lost.py", "powers.py", "reading.py")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with code of its own of every kind that was run once, by processes of its own."""
    made = own_everything(tmp_path_factory.mktemp("unchanged") / "project")
    made = dataclasses.replace(made, environment={"PYTHONDONTWRITEBYTECODE": ""})
    made.append(
        "nets.py",
        "\n\ndef read(first, second=('a', 'b')):\n    return {'first': first, 'second': second}\n\n\n"
        "FROM_FILE = torch.load(__file__.replace('nets.py', 'best.pt'))\n",
    )
    save_checkpoint(made.folder / "best.pt", 0.1)
    made.write("pair/__init__.py", "")
    made.write("pair/neighbour.py", FIXED)
    ended = made.shell("run", "suite.yaml", "--out", "out", *COMMON)
    first = made.ran(ended)
    assert first.code == 0, first.output
    assert not first.reused
    assert len(first.done) >= 7
    return made


@pytest.fixture
def unchanged(finished: Project) -> Iterator[Project]:
    """The same, with all files as they were again afterwards."""
    kept = contents(finished.folder)
    yield finished
    for path in set(contents(finished.folder)) - set(kept):
        (finished.folder / path).unlink()
    for path, content in kept.items():
        if not (finished.folder / path).exists() or (finished.folder / path).read_bytes() != content:
            (finished.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (finished.folder / path).write_bytes(content)


def contents(folder: Path) -> Mapping[Path, bytes]:
    """What is in each of a project's files, but for those that runs leave."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        path.relative_to(folder): path.read_bytes()
        for path in files
        if path.relative_to(folder).parts[0] not in ("out", "store", "second") and path.suffix != ".pyc"
    }


def nothing_to_do(made: Project, *words: str, **environment: str) -> None:
    """Say that neither a plan nor a run finds anything to do, here or in another process."""
    foreseen = made.plan(**environment)
    assert not foreseen.to_do, foreseen.output
    assert not foreseen.later, foreseen.output
    elsewhere = planned(made.shell("plan", "suite.yaml", *COMMON, **environment))
    assert not elsewhere.to_do, elsewhere.output
    ran = made.run(*words, out="second", **environment)
    assert ran.code == 0, ran.output
    assert not ran.done
    assert ran.reused == foreseen.cached


def comments(made: Project) -> None:
    for name in SOURCES:
        made.append(name, "\n# a remark at the end\n")
        made.write(name, f"# a remark in front\n{(made.folder / name).read_text()}")


def blank_lines(made: Project) -> None:
    for name in SOURCES:
        made.write(name, "\n\n" + (made.folder / name).read_text().replace("\n\n", "\n\n\n") + "\n\n")


def trailing_spaces(made: Project) -> None:
    made.replace("nets.py", "return linear(TILT)\n", "return linear(TILT)   \n")


def parentheses(made: Project) -> None:
    made.replace("nets.py", "return linear(TILT)", "return (linear((TILT)))")
    made.replace("tilts.py", "TILT = 0.1", "TILT = (\n    0.1\n)")


def line_breaks(made: Project) -> None:
    made.replace(
        "nets.py",
        "def read(first, second=('a', 'b')):\n    return {'first': first, 'second': second}",
        "def read(\n    first,\n    second=(\n        'a',\n        'b',\n    ),\n):\n"
        "    return {\n        'first': first,\n        'second': second,\n    }",
    )


def other_quotes(made: Project) -> None:
    made.replace("nets.py", "'first'", '"first"')


def spaces_of_imports(made: Project) -> None:
    made.replace(
        "nets.py", "import torch\nfrom torch import nn\n", "import  torch\n\nfrom  torch  import (\n    nn,\n)\n"
    )


def windows_line_ends(made: Project) -> None:
    for name in SOURCES:
        path = made.folder / name
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


def touched(made: Project) -> None:
    for path in contents(made.folder):
        os.utime(made.folder / path, (1_000_000_000, 1_000_000_000))


def there_and_back(made: Project) -> None:
    content = (made.folder / "tilts.py").read_bytes()
    made.write("tilts.py", "TILT = 0.4\n")
    assert made.plan().to_do, "on the way it is a change"
    (made.folder / "tilts.py").write_bytes(content)


def removed_and_back(made: Project) -> None:
    content = (made.folder / "scale.txt").read_bytes()
    (made.folder / "scale.txt").unlink()
    assert made.plan().to_do, "on the way it is a change"
    (made.folder / "scale.txt").write_bytes(content)


def no_bytecode(made: Project) -> None:
    assert not list(made.folder.rglob("__pycache__")), "a run neither uses nor leaves any"
    more_bytecode(made)
    assert not made.plan().to_do
    for folder in list(made.folder.rglob("__pycache__")):
        shutil.rmtree(folder)


def more_bytecode(made: Project) -> None:
    for name in SOURCES:
        py_compile.compile(str(made.folder / name), doraise=True, optimize=2)
        py_compile.compile(
            str(made.folder / name), doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
        )


def checked_out_again(made: Project) -> None:
    """What git does: every file is another one, of the same content and of now."""
    for path, content in contents(made.folder).items():
        (made.folder / path).unlink()
        (made.folder / path).write_bytes(content)


def written_by_renaming(made: Project) -> None:
    """What careful editors do."""
    for path, content in contents(made.folder).items():
        (made.folder / f"{path}.new").write_bytes(content)
        (made.folder / f"{path}.new").replace(made.folder / path)


def other_rights(made: Project) -> None:
    for name in SOURCES:
        (made.folder / name).chmod(0o755)


def another_component(made: Project) -> None:
    """A module of a model that this suite does not name."""
    made.append("pair/neighbour.py", "\nTILT = 3\n")


def unrelated_files(made: Project) -> None:
    made.write("notes.txt", "nothing\n")
    made.write("unrelated_module.py", "1 / 0\n")
    made.write("unrelated_package/__init__.py", "1 / 0\n")
    made.write(".nets.py.swp", "nothing\n")


def remarks_in_the_suite(made: Project) -> None:
    made.write("suite.yaml", "# a remark\n" + (made.folder / "suite.yaml").read_text() + "\n# another\n")


def a_wider_suite(made: Project) -> None:
    """An expectation and a description are nothing that a job is made of."""
    made.replace(
        "suite.yaml", '"suite": "tracked",', '"suite": "tracked", "description": "words", "intervals": "wilson",'
    )


CHANGES: tuple[Callable[[Project], None], ...] = (
    comments, blank_lines, trailing_spaces, parentheses, line_breaks, other_quotes, spaces_of_imports,
    windows_line_ends, touched, there_and_back, removed_and_back, no_bytecode, more_bytecode, checked_out_again,
    written_by_renaming, other_rights, another_component, unrelated_files, remarks_in_the_suite, a_wider_suite,
)  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__.replace("_", "-"))
def test_a_change_that_means_nothing(change: Callable[[Project], None], unchanged: Project) -> None:
    change(unchanged)
    nothing_to_do(unchanged)


@pytest.mark.parametrize(
    "environment",
    [
        {"TRACKED_NOBODY_READS_THIS": "1"},
        {"PYTHONDONTWRITEBYTECODE": "1"},
        {"PYTHONHASHSEED": "17"},
        {"COLUMNS": "71", "TERM": "dumb", "EDITOR": "ed"},
    ],
    ids=lambda environment: "-".join(environment).lower(),
)
def test_a_variable_that_nobody_reads(environment: Mapping[str, str], unchanged: Project) -> None:
    nothing_to_do(unchanged, **environment)


@pytest.mark.parametrize("words", [["--batch-size", "7"], ["--executor", "inline"], ["--only", "wb/net/fgsm*"]])
def test_another_way_to_run(words: list[str], unchanged: Project) -> None:
    ran = unchanged.run(*words, out="second")
    assert ran.code == 0, ran.output
    assert not ran.done


def test_a_run_in_a_new_process(unchanged: Project) -> None:
    ended = unchanged.shell("run", "suite.yaml", "--out", "second", *COMMON)
    ran = unchanged.ran(ended, "second")
    assert ran.code == 0, ran.output
    assert not ran.done
    assert re.search(r"^(\d+) of \1 jobs were done before$", ran.output, re.MULTILINE), ran.output


def test_the_project_is_moved_with_its_store(unchanged: Project) -> None:
    there = unchanged.folder.with_name("moved")
    unchanged.folder.rename(there)
    try:
        nothing_to_do(dataclasses.replace(unchanged, folder=there))
    finally:
        there.rename(unchanged.folder)
    nothing_to_do(unchanged)


def test_the_project_is_copied_with_its_store(unchanged: Project) -> None:
    """The copy stands for itself: a change of it is none of the first, and the other way round."""
    there = unchanged.folder.with_name("copied")
    shutil.copytree(unchanged.folder, there, symlinks=True)
    copied = dataclasses.replace(unchanged, folder=there)
    nothing_to_do(copied)
    unchanged.write("tilts.py", "TILT = 0.4\n")
    nothing_to_do(copied)
    assert unchanged.plan().to_do
    copied.write("tilts.py", "TILT = 0.4\n")
    assert copied.plan().to_do


def test_only_another_models_module_was_edited(unchanged: Project) -> None:
    """Of two models of a suite, the rows of one are those of before."""
    text = (unchanged.folder / "suite.yaml").read_text()
    block = '"models": {\n  "pair": {"kind": "classifier", "load": "pair.neighbour:build"},\n'
    text = text.replace('"models": {\n', block, 1).replace('"models": [\n', '"models": [\n"pair",\n', 1)
    unchanged.write("suite.yaml", text)
    only = unchanged.plan("--only", "wb/net*")
    assert not only.to_do, only.output
    ran = unchanged.run("--only", "wb/pair*", out="second")
    assert ran.code == 0, ran.output
    unchanged.append("pair/neighbour.py", "\nTILT = 3\n")
    changed = unchanged.plan()
    assert changed.to_do
    assert all("pair" in job.split("/") for job in changed.to_do), changed.output
    assert any("net" in job.split("/") for job in changed.cached)
