"""Further changes that a tracker may miss: each makes a result another one, and has to be seen."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.tracking.projects import FIXED, HERE, LINEAR, TILTED, Project, project, save_points, suite

TILT_OF = "\n\ndef build():\n    return linear(TILT)\n"


@dataclass(frozen=True)
class Hunted:
    """A change of what a model is made of.

    Attributes:
        files: The project's files; the factory is `nets:build`.
        change: Changes the project, given its folder.
        args: Arguments of the factory.
        folders: Empty folders to make.
        links: Symbolic links to make, by name.
    """

    files: dict[str, str]
    change: Callable[[Path], object]
    args: dict[str, object] = field(default_factory=dict)
    folders: tuple[str, ...] = ()
    links: dict[str, str] = field(default_factory=dict)


def writes(name: str, text: str = f"TILT = {TILTED}\n") -> Callable[[Path], object]:
    """Writes a file."""

    def change(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)

    return change


def _relink(folder: Path) -> None:
    (folder / "current").unlink()
    (folder / "current").symlink_to("second")


def _same_size_and_time(folder: Path) -> None:
    """What a hash that trusts size and time does not see."""
    path = folder / "tilt.txt"
    before = path.stat()
    path.write_text("0.6\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


def _same_size_and_time_of_a_module(folder: Path) -> None:
    path = folder / "sizes.py"
    before = path.stat()
    path.write_text("TILT = 0.6\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    for stale in folder.rglob("*.pyc"):  # Python itself would take it for current
        stale.unlink()


HUNTED = {
    "a package in front of a module of its name": Hunted(
        {"nets.py": LINEAR + "\nfrom helper import TILT\n" + TILT_OF, "helper.py": "TILT = 0.0\n"},
        writes("helper/__init__.py"),
    ),
    "a module that an import could not find": Hunted(
        {
            "nets.py": LINEAR
            + "\ntry:\n    from overrides_of_mine import TILT\nexcept ImportError:\n    TILT = 0.0\n"
            + TILT_OF
        },
        writes("overrides_of_mine.py"),
    ),
    "a module that find_spec could not find": Hunted(
        {
            "nets.py": LINEAR
            + "\nimport importlib.util\n\nTILT = 0.6 if importlib.util.find_spec('flag_of_mine') else 0.0\n"
            + TILT_OF
        },
        writes("flag_of_mine.py"),
    ),
    "a file that open could not find": Hunted(
        {
            "nets.py": HERE + LINEAR + "\ntry:\n    TILT = float(open(HERE / 'tilt.txt').read())\n"
            "except FileNotFoundError:\n    TILT = 0.0\n" + TILT_OF
        },
        writes("tilt.txt", "0.6\n"),
    ),
    "a file that exists looked for": Hunted(
        {"nets.py": HERE + LINEAR + "\nTILT = 0.6 if (HERE / 'robustify.flag').exists() else 0.0\n" + TILT_OF},
        writes("robustify.flag", ""),
    ),
    "a file that os.path.isfile looked for": Hunted(
        {
            "nets.py": HERE
            + LINEAR
            + "\nimport os\n\nTILT = 0.6 if os.path.isfile(HERE / 'some.flag') else 0.0\n"
            + TILT_OF
        },
        writes("some.flag", ""),
    ),
    "a file whose size was asked for": Hunted(
        {
            "nets.py": HERE + LINEAR + "\nTILT = 0.6 if (HERE / 'log.txt').stat().st_size > 9 else 0.0\n" + TILT_OF,
            "log.txt": "short\n",
        },
        writes("log.txt", "not so short any more\n"),
    ),
    "the newest file by time": Hunted(
        {
            "nets.py": HERE + LINEAR + "\nTILT = float(max((HERE / 'runs').iterdir(), key=lambda p: p.stat().st_mtime)"
            ".read_text())\n" + TILT_OF,
            "runs/a.txt": "0.6\n",
            "runs/b.txt": "0.0\n",
        },
        lambda folder: os.utime(folder / "runs" / "a.txt", (4_000_000_000, 4_000_000_000)),
    ),
    "a file that scandir finds": Hunted(
        {
            "nets.py": HERE
            + LINEAR
            + "\nimport os\n\nTILT = 0.6 if len(list(os.scandir(HERE / 'runs'))) > 1 else 0.0\n"
            + TILT_OF,
            "runs/a.txt": "",
        },
        writes("runs/b.txt", ""),
    ),
    "a file that glob finds": Hunted(
        {
            "nets.py": HERE
            + LINEAR
            + "\nimport glob\n\nTILT = 0.6 if glob.glob(str(HERE / 'runs' / '**' / '*.pt'), recursive=True) else 0.0\n"
            + TILT_OF,
            "runs/deep/a.txt": "",
        },
        writes("runs/deep/b.pt", ""),
    ),
    "a folder that os.walk meets": Hunted(
        {
            "nets.py": HERE
            + LINEAR
            + "\nimport os\n\nTILT = 0.6 if 'more' in str(list(os.walk(HERE / 'runs'))) else 0.0\n"
            + TILT_OF,
            "runs/deep/a.txt": "",
        },
        lambda folder: (folder / "runs" / "deep" / "more").mkdir(),
    ),
    "a file in a listed folder that was empty": Hunted(
        {"nets.py": HERE + LINEAR + "\nTILT = 0.6 if list((HERE / 'plugins').glob('*')) else 0.0\n" + TILT_OF},
        writes("plugins/a.txt", ""),
        folders=("plugins",),
    ),
    "a module that pkgutil finds": Hunted(
        {
            "nets.py": LINEAR + "\nimport importlib\nimport pkgutil\n\nimport plugs\n\nTILT = sum(\n"
            "    importlib.import_module(f'plugs.{m.name}').TILT for m in pkgutil.iter_modules(plugs.__path__)\n)\n"
            + TILT_OF,
            "plugs/__init__.py": "",
            "plugs/one.py": "TILT = 0.0\n",
        },
        writes("plugs/two.py"),
    ),
    "a link that points elsewhere": Hunted(
        {
            "nets.py": HERE + LINEAR + "\nTILT = float((HERE / 'current' / 'tilt.txt').read_text())\n" + TILT_OF,
            "first/tilt.txt": "0.0\n",
            "second/tilt.txt": "0.6\n",
        },
        _relink,
        links={"current": "first"},
    ),
    "a file behind a link": Hunted(
        {
            "nets.py": HERE + LINEAR + "\nTILT = float((HERE / 'current' / 'tilt.txt').read_text())\n" + TILT_OF,
            "first/tilt.txt": "0.0\n",
        },
        writes("first/tilt.txt", "0.6\n"),
        links={"current": "first"},
    ),
    "content of the same size and time": Hunted(
        {
            "nets.py": HERE + LINEAR + "\nTILT = float((HERE / 'tilt.txt').read_text())\n" + TILT_OF,
            "tilt.txt": "0.0\n",
        },
        _same_size_and_time,
    ),
    "a module of the same size and time": Hunted(
        {"nets.py": LINEAR + "\nfrom sizes import TILT\n" + TILT_OF, "sizes.py": "TILT = 0.0\n"},
        _same_size_and_time_of_a_module,
    ),
    "a module imported by a computed name": Hunted(
        {
            "nets.py": LINEAR + "\nimport importlib\n\nTILT = importlib.import_module('si' + 'zes').TILT\n" + TILT_OF,
            "sizes.py": "TILT = 0.0\n",
        },
        writes("sizes.py"),
    ),
    "a module named in the arguments": Hunted(
        {
            "nets.py": LINEAR + "\nimport importlib\n\n\ndef build(module):\n"
            "    return linear(importlib.import_module(module).TILT)\n",
            "sizes.py": "TILT = 0.0\n",
        },
        writes("sizes.py"),
        args={"module": "sizes"},
    ),
    "the package of a module": Hunted(
        {
            "nets.py": LINEAR + "\nfrom pack.sizes import TILT\n" + TILT_OF,
            "pack/__init__.py": "",
            "pack/sizes.py": "TILT = 0.0\n",
        },
        writes("pack/__init__.py", f"from . import sizes\n\nsizes.TILT = {TILTED}\n"),
    ),
    "a package that had no init": Hunted(
        {"nets.py": LINEAR + "\nfrom pack.sizes import TILT\n" + TILT_OF, "pack/sizes.py": "TILT = 0.0\n"},
        writes("pack/__init__.py", f"from . import sizes\n\nsizes.TILT = {TILTED}\n"),
    ),
    "code in a file that exec runs": Hunted(
        {
            "nets.py": HERE + LINEAR + "\nexec((HERE / 'sizes.txt').read_text())\n" + TILT_OF,
            "sizes.txt": "TILT = 0.0\n",
        },
        writes("sizes.txt"),
    ),
    "a docstring that is read": Hunted(
        {"nets.py": LINEAR + "\nimport sizes\n\nTILT = float(sizes.__doc__)\n" + TILT_OF, "sizes.py": "'0.0'\n"},
        writes("sizes.py", "'0.6'\n"),
    ),
    "a comment that is read": Hunted(
        {
            "nets.py": LINEAR + "\nimport inspect\n\nimport sizes\n\n"
            "TILT = float(inspect.getsource(sizes).partition('#')[2])\n" + TILT_OF,
            "sizes.py": "NOTHING = 0  # 0.0\n",
        },
        writes("sizes.py", "NOTHING = 0  # 0.6\n"),
    ),
    "a number of a line": Hunted(
        {
            "nets.py": LINEAR
            + "\nimport sizes\n\nTILT = 0.6 if sizes.where.__code__.co_firstlineno > 9 else 0.0\n"
            + TILT_OF,
            "sizes.py": "def where():\n    pass\n",
        },
        writes("sizes.py", "\n" * 20 + "def where():\n    pass\n"),
    ),
    "a module in front of one of Python's library": Hunted(
        {"nets.py": LINEAR + "\nimport tabnanny\n\nTILT = getattr(tabnanny, 'TILT', 0.0)\n" + TILT_OF},
        writes("tabnanny.py"),
    ),
}
"""Changes of a model by what they are."""

KNOWN_LIMITS = {"a number of a line": "line numbers alone are no change that anyone is meant to depend on"}


@pytest.mark.parametrize("name", list(HUNTED))
def test_a_change_is_seen(name: str, tmp_path: Path) -> None:
    if name in KNOWN_LIMITS:
        pytest.xfail(KNOWN_LIMITS[name])
    hunted = HUNTED[name]
    made = project(
        tmp_path,
        suite(
            {"hunted": {"load": "nets:build", "args": hunted.args}, "fixed": "fixed:build"},
            data={"points": {"source": "npz", "path": "points.npz", "take": 60}},
        ),
        {"fixed.py": FIXED, **hunted.files},
    )
    for folder in hunted.folders:
        (tmp_path / folder).mkdir()
    for link, target in hunted.links.items():
        (tmp_path / link).symlink_to(target)
    first = made.run()
    assert first.code == 0, first.output
    usual = made.plan()
    expected = {job for job in first.done if "hunted" in job.split("/")}
    assert not usual.to_do, usual.output
    hunted.change(tmp_path)
    planned = made.plan()
    assert set(planned.to_do) == expected, planned.output
    second = made.run("--executor", "inline")  # no other worker has to be started
    assert second.code == 0, second.output
    row = "wb/hunted/worst-case/linf-0.1/robust_accuracy"
    assert first.rows[row] - second.rows[row] >= 0.1, "then the change itself was none"


def _two(tmp_path: Path, files: dict[str, str], **more: object) -> Project:
    """A project with two models."""
    models = {"one": "one:build", "two": "two:build"}
    return project(tmp_path, suite(models, **more), files)


@pytest.mark.parametrize(
    "asked",
    [
        "os.environ['TRACKED_TILT']",
        "os.getenv('TRACKED_TILT')",
        "os.environ.get('TRACKED_TILT', '0')",
        "os.environb[b'TRACKED_TILT']",
        "dict(os.environ)['TRACKED_TILT']",
        "os.path.expandvars('$TRACKED_TILT')",
        "'0.6' if 'TRACKED_MORE' in os.environ else '0'",
        "[value for key, value in os.environ.items() if key == 'TRACKED_TILT'][0]",
        "(os.environ.copy())['TRACKED_TILT']",
    ],
)
def test_a_variable_is_seen_however_it_is_asked_for(
    asked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKED_TILT", "0")
    made = _two(
        tmp_path,
        {"one.py": LINEAR + f"\nimport os\n\n\ndef build():\n    return linear(float({asked}))\n", "two.py": FIXED},
    )
    first = made.run()
    assert first.code == 0, first.output
    assert not made.plan().to_do
    monkeypatch.setenv("TRACKED_TILT", str(TILTED))
    monkeypatch.setenv("TRACKED_MORE", "1")
    planned = made.plan()
    assert set(planned.to_do) == {job for job in first.done if "one" in job.split("/")}, planned.output


def test_a_second_user_of_a_module_that_is_loaded_already(tmp_path: Path) -> None:
    """Python imports a module once in a process; every job that uses it depends on it all the same."""
    files = {
        "one.py": LINEAR + "\nfrom shared import TILT\n" + TILT_OF,
        "two.py": LINEAR + "\ndef build():\n    from shared import TILT\n    return linear(TILT)\n",
        "shared.py": "from deeper import TILT\n",
        "deeper.py": "TILT = 0.0\n",
    }
    made = _two(tmp_path, files)
    first = made.run()
    made.write("deeper.py", f"TILT = {TILTED}\n")
    planned = made.plan()
    assert set(planned.to_do) == first.done, planned.output


def test_a_second_user_of_a_file_that_was_read_when_a_module_was_imported(tmp_path: Path) -> None:
    """The file is read once in a process, at the import; a model of each module depends on it."""
    files = {
        "one.py": LINEAR + "\nfrom shared import TILT\n" + TILT_OF,
        "two.py": LINEAR + "\nimport shared\n\n\ndef build():\n    return linear(shared.TILT)\n",
        "shared.py": HERE + "TILT = float((HERE / 'tilt.txt').read_text())\n",
        "tilt.txt": "0.0\n",
    }
    made = _two(tmp_path, files)
    first = made.run()
    made.write("tilt.txt", f"{TILTED}\n")
    planned = made.plan()
    assert set(planned.to_do) == first.done, planned.output


def test_data_that_is_the_same_again_costs_no_more(tmp_path: Path) -> None:
    """A data function is run again after a change of its file; what uses the samples is not, if these are the same."""
    reading = HERE + (
        "import numpy as np\n\n\ndef load():\n    (HERE / 'remarks.txt').read_text()\n"
        "    with np.load(HERE / 'points.npz') as arrays:\n        return arrays['x'], arrays['y']\n"
    )
    made = project(
        tmp_path,
        suite({"fixed": "fixed:build"}, data={"points": {"source": "reading:load"}}),
        {"fixed.py": FIXED, "reading.py": reading, "remarks.txt": "one\n"},
    )
    first = made.run()
    assert first.code == 0, first.output
    made.write("remarks.txt", "two\n")
    assert set(made.plan().to_do) == {"data/points"}
    second = made.run()
    assert second.done == {"data/points"}
    assert second.reused == first.done - second.done


def test_a_change_while_the_run_goes_on(tmp_path: Path) -> None:
    """What was read is what counts: a file that changes right after it was read leaves a result of the old one."""
    code = HERE + LINEAR + (
        "\n\ndef build():\n    tilt = float((HERE / 'tilt.txt').read_text())\n"
        f"    (HERE / 'tilt.txt').write_text('{TILTED}')\n    return linear(tilt)\n"
    )  # fmt: skip
    made = project(tmp_path, suite({"net": "nets:build"}), {"nets.py": code, "tilt.txt": "0.0"})
    first = made.run()
    assert first.code == 0, first.output
    assert made.plan().to_do, "the file that the result was made of is not there any more"


def test_the_folder_that_bench_is_run_from(tmp_path: Path) -> None:
    """A relative path of the user's code starts there."""
    code = LINEAR + "\n\ndef build():\n    return linear(float(open('tilt.txt').read()))\n"
    made = project(tmp_path / "one", suite({"net": "nets:build"}), {"nets.py": code, "tilt.txt": "0.0\n"})
    first = made.run()
    assert first.code == 0, first.output
    other = project(tmp_path / "two", suite({"net": "nets:build"}), {"nets.py": code, "tilt.txt": f"{TILTED}\n"})
    (tmp_path / "two" / "store").symlink_to(tmp_path / "one" / "store")
    assert set(other.plan().to_do) == first.done
    second = other.run()
    row = "wb/net/worst-case/linf-0.1/robust_accuracy"
    assert first.rows[row] - second.rows[row] >= 0.1
    assert not made.plan().to_do, "the results of both are kept"


def test_uses_names_what_nobody_sees(tmp_path: Path) -> None:
    """A file that another program reads is one that a block can name."""
    code = HERE + LINEAR + (
        "import subprocess\n\n\ndef build():\n"
        "    found = subprocess.run(['cat', str(HERE / 'tilt.txt')], capture_output=True, text=True)\n"
        "    return linear(float(found.stdout))\n"
    )  # fmt: skip
    model = {"load": "nets:build", "uses": ["tilt.txt", "TRACKED_SWITCH"]}
    made = project(
        tmp_path, suite({"net": model, "fixed": "fixed:build"}), {"nets.py": code, "fixed.py": FIXED, "tilt.txt": "0\n"}
    )
    first = made.run()
    assert first.code == 0, first.output
    assert not made.plan("--trust").to_do
    made.write("tilt.txt", f"{TILTED}\n")
    expected = {job for job in first.done if "net" in job.split("/")}
    assert set(made.plan("--trust").to_do) == expected
    made.write("tilt.txt", "0\n")
    assert not made.plan("--trust").to_do
    assert set(made.plan("--trust", TRACKED_SWITCH="1").to_do) == expected


def test_a_new_interpreter_path_is_seen(tmp_path: Path) -> None:
    """A folder that is put in front of the path brings another helper."""
    files = {
        "one.py": LINEAR + "\nfrom helper_of_one import TILT\n" + TILT_OF,
        "two.py": FIXED,
        "first/helper_of_one.py": "TILT = 0.0\n",
        "second/helper_of_one.py": f"TILT = {TILTED}\n",
    }
    made = project(
        tmp_path, suite({"one": "one:build", "two": "two:build"}), files, path=(tmp_path / "first",), apart=True
    )
    first = made.run()
    assert first.code == 0, first.output
    moved = Project(tmp_path, made.uses, sys.executable, path=(tmp_path / "second", tmp_path / "first"), apart=True)
    planned = moved.plan()
    assert set(planned.to_do) == {job for job in first.done if "one" in job.split("/")}, planned.output


def test_points_that_the_suite_names_are_seen(tmp_path: Path) -> None:
    made = _two(tmp_path, {"one.py": FIXED, "two.py": FIXED})
    first = made.run()
    save_points(tmp_path / "points.npz", 150)
    assert set(made.plan().to_do) == {job for job in first.done if not job.startswith("build/")}


def test_an_unrelated_folder_on_the_path_means_nothing(tmp_path: Path) -> None:
    """A folder in front of others in which nothing is found moves none of what is found in these."""
    files = {
        "one.py": LINEAR + "\nfrom helper_of_one import TILT\n" + TILT_OF,
        "two.py": FIXED,
        "lib/helper_of_one.py": "TILT = 0.0\n",
        "empty/unrelated.py": "",
    }
    lib, empty = tmp_path / "lib", tmp_path / "empty"
    models = {"one": "one:build", "two": "two:build"}
    made = project(tmp_path / "work", suite(models), {}, path=(lib,), apart=True)
    for name, text in files.items():
        made.write(name if name in ("one.py", "two.py") else f"../{name}", text)
    first = made.run()
    assert first.code == 0, first.output
    longer = Project(made.folder, made.uses, sys.executable, path=(empty, lib), apart=True)
    planned = longer.plan()
    assert not planned.to_do, planned.output
