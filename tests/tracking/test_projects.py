"""Ordinary projects of users: all that they use is in their lists, so that nothing is done twice and nothing missed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tracking.projects import COMMON, PROJECTS, Watched, planned, watched


@pytest.fixture(params=list(PROJECTS))
def ordinary(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Watched:
    """A project that was run once."""
    return watched(request.param, tmp_path_factory.mktemp("projects"))


def test_nothing_is_done_twice(ordinary: Watched) -> None:
    project, first = ordinary.project, ordinary.first
    assert first.code == 0, first.output
    assert first.done
    assert not first.reused, "then the first run was none"
    second = project.run(out="second")
    assert second.code == 0, second.output
    assert not second.done
    assert second.reused == first.done
    assert second.rows == pytest.approx(first.rows, nan_ok=True)
    third = planned(project.shell("plan", "suite.yaml", *COMMON))
    assert not third.to_do, third.output
    assert third.cached == first.done


def test_the_lists_are_complete(ordinary: Watched) -> None:
    assert ordinary.project.untracked() == {}
    used = set().union(*ordinary.project.used().values())
    assert {path.resolve() for path in ordinary.project.uses} <= {path.resolve() for path in used}


def test_a_change_of_any_file_is_seen(ordinary: Watched) -> None:
    project = ordinary.project
    for path in _few(project.uses):
        content = path.read_bytes()
        try:
            path.write_bytes(content + (b"\nADDED = 1\n" if path.suffix == ".py" else b"0"))
            changed = project.plan()
        finally:
            path.write_bytes(content)
        assert changed.to_do, f"{path} was changed\n{changed.output}"
    back = project.plan()
    assert not back.to_do, back.output


def _few(paths: tuple[Path, ...]) -> list[Path]:
    """All paths, but of many in one folder that are no modules the first and the last."""
    kept: list[Path] = []
    for folder in dict.fromkeys(path.parent for path in paths):
        there = [path for path in paths if path.parent == folder]
        modules = [path for path in there if path.suffix == ".py"]
        others = [path for path in there if path.suffix != ".py"]
        kept += modules + list(dict.fromkeys(others[:1] + others[-1:]))
    return kept
