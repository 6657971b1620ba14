"""Another observer: every file that the system saw a run open is in the list of one of its jobs."""

from __future__ import annotations

import re
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

import bench
from tests.tracking.projects import PROJECTS, Project, tracing, watched

pytestmark = pytest.mark.skipif(bool(tracing()), reason=tracing() or "strace can be used")

_HELPERS = {"git", "uname", "ldconfig", "ldconfig.real", "lscpu", "nvidia-smi"}
"""Programs that bench and torch ask about the machine and the checkout."""
_SYSTEM = ("/proc", "/sys", "/dev", "/etc", "/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/run", "/var")
_OPENED = re.compile(r"^(?P<pid>\d+) +open(?:at)?\(.*?(?P<flags>O_[A-Z_|]+).*\) += \d+<(?P<path>/.*)>$")
_UNFINISHED = re.compile(r"^(?P<pid>\d+) +(?P<call>.*) <unfinished \.\.\.>$")
_RESUMED = re.compile(r"^(?P<pid>\d+) +<\.\.\. \w+ resumed>(?P<rest>.*)$")
_STARTED = re.compile(r'^(?P<pid>\d+) +execve\("(?P<program>[^"]+)".* = 0$')


def opened(log: Path) -> set[Path]:
    """The files that a log of strace says were opened for reading, by other programs than `_HELPERS`."""
    helpers: set[str] = set()
    found: set[Path] = set()
    for line in _whole_lines(log.read_text(errors="replace")):
        if (started := _STARTED.match(line)) is not None:
            if Path(started["program"]).name in _HELPERS:
                helpers.add(started["pid"])
            continue
        call = _OPENED.match(line)
        if call is None or call["pid"] in helpers:
            continue
        flags = set(call["flags"].split("|"))
        if "O_RDONLY" in flags and not flags & {"O_CREAT", "O_DIRECTORY", "O_PATH"}:
            found.add(Path(call["path"]))
    return found


def _whole_lines(text: str) -> Iterator[str]:
    """The lines of a log, with calls that others interrupted put together."""
    waiting: dict[str, str] = {}
    for line in text.splitlines():
        if (begun := _UNFINISHED.match(line)) is not None:
            waiting[begun["pid"]] = f"{begun['pid']} {begun['call']}"
        elif (resumed := _RESUMED.match(line)) is not None:
            yield waiting.pop(resumed["pid"], "") + resumed["rest"]
        else:
            yield line


def of_the_project(paths: set[Path], project: Project) -> set[Path]:
    """Those that are no part of the system, of Python, of bench, of the suite or of what the run itself wrote."""
    paths_of_python = [sys.prefix, sys.base_prefix, *sysconfig.get_paths().values()]
    roots = [Path(root).resolve() for root in paths_of_python]
    roots += [Path(project.python).parents[1]] if project.python != sys.executable else []
    roots += [Path(bench.__file__).resolve().parent, project.folder / "out", project.folder / "store"]
    roots += [Path(root) for root in _SYSTEM]
    roots += [Path.home() / ".cache" / "matplotlib", Path.home() / ".config" / "matplotlib"]  # of the page
    kept: set[Path] = set()
    for path in paths:
        if any(path.is_relative_to(root) for root in roots) or not path.is_file():
            continue
        if path == project.folder / "suite.yaml":
            continue
        kept.add(_source(path))
    named = (
        {project.folder / "points.npz"}
        if '"path": "points.npz"' in (project.folder / "suite.yaml").read_text()
        else set()
    )
    return kept - named


def _source(path: Path) -> Path:
    """The module that bytecode was made of; any other file itself."""
    if path.suffix != ".pyc" or path.parent.name != "__pycache__":
        return path
    return path.parent.parent / f"{path.name.partition('.')[0]}.py"


@pytest.mark.parametrize("name", list(PROJECTS))
def test_all_that_was_opened_is_listed(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    run = watched(name, tmp_path_factory.mktemp("projects"))
    assert run.first.code == 0, run.first.output
    assert run.log is not None
    seen = of_the_project(opened(run.log), run.project)
    assert {path.resolve() for path in run.project.uses} <= seen, "then the observer has missed something itself"
    if run.project.untracked():
        return
    listed = {path.resolve() for paths in run.project.used().values() for path in paths}
    assert seen <= listed, sorted(map(str, seen - listed))
