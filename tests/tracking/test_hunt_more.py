"""Further changes that a list must hold: links, changed import paths, failed imports, variables that code sets."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.conftest import TOY_MODULE, TOY_SUITE, Workshop

HERE = "from pathlib import Path\nimport os, sys\nHERE = Path(__file__).parent\n"
END = "\nlinear.__defaults__ = (4.0 if TILT else 0.5,)\n"


def linked(folder: Path) -> None:
    for name, text in (("one.txt", "0"), ("two.txt", "1")):
        (folder / name).write_text(text)
    (folder / "latest.txt").symlink_to("one.txt")


def relink(folder: Path) -> None:
    (folder / "latest.txt").unlink()
    (folder / "latest.txt").symlink_to("two.txt")


def library(folder: Path) -> None:
    (folder / "lib").mkdir()
    (folder / "lib" / "helper_in_lib.py").write_text("TILT = 0\n")


CASES: Mapping[str, tuple[Callable[[Path], object], str, Callable[[Path], object]]] = {
    "a link that is resolved": (linked, "TILT = int((HERE / 'latest.txt').resolve().read_text())", relink),
    "a link that is read": (linked, "TILT = 'two' in os.readlink(HERE / 'latest.txt')", relink),
    "a module before an appended folder": (
        library,
        "sys.path.append(str(HERE / 'lib'))\nfrom helper_in_lib import TILT",
        lambda folder: (folder / "helper_in_lib.py").write_text("TILT = 1\n"),
    ),
    "a module missing in an inserted folder": (
        library,
        "sys.path.insert(0, str(HERE / 'lib'))\ntry:\n    from over import TILT\nexcept ImportError:\n    TILT = 0",
        lambda folder: (folder / "lib" / "over.py").write_text("TILT = 1\n"),
    ),
    "a module missing for code that exec runs": (
        lambda folder: (folder / "run.txt").write_text(
            "try:\n    from missing_one import TILT\nexcept ImportError:\n    TILT = 0\n"
        ),
        "exec((HERE / 'run.txt').read_text())",
        lambda folder: (folder / "missing_one.py").write_text("TILT = 1\n"),
    ),
    "a module missing under a name that is put together": (
        lambda _: None,
        "try:\n    TILT = __import__('miss' + 'ing_two').TILT\nexcept ImportError:\n    TILT = 0",
        lambda folder: (folder / "missing_two.py").write_text("TILT = 1\n"),
    ),
}


def origins(shop: Workshop, out: str) -> dict[str, str]:
    run = shop.run(TOY_SUITE, out=shop.folder / out, executor="local")
    assert run.exit_code == 0, [state.message for state in run.states.values()]
    return {job: state.origin for job, state in run.states.items()}


@pytest.mark.parametrize("what", CASES)
def test_a_change_is_seen(what: str, toy: Workshop) -> None:
    prepare, code, change = CASES[what]
    prepare(toy.folder)
    toy.module("toy", HERE + TOY_MODULE + code + END)
    assert set(origins(toy, "first").values()) == {"done"}
    assert set(origins(toy, "second").values()) == {"store"}
    change(toy.folder)
    assert set(origins(toy, "third").values()) == {"done"}


SILENT = {
    "a variable with a default": "os.environ.setdefault('MINE_A', '1')\nTILT = int(os.environ['MINE_A'])",
    "a variable that is set": "os.environ['MINE_B'] = '1'\nTILT = int(os.environ['MINE_B'])",
    "a variable that is removed": "os.environ.pop('MINE_C', None)\nTILT = int('MINE_C' not in os.environ)",
    "a link that leads nowhere": "TILT = not (HERE / 'dangling').exists()",
    "a file that must not be run": "TILT = not os.access(HERE / 'toy.npz', os.X_OK)",
    "a file written over, then read": "(HERE / 'ck').write_text('1')\nTILT = int((HERE / 'ck').read_text())",
    "a copy of a link": "import shutil\nshutil.copy2(HERE / 'dangling', HERE / 'dangling-2', follow_symlinks=False) "
    "if not (HERE / 'dangling-2').is_symlink() else None\nTILT = 1",
}


@pytest.mark.parametrize("what", SILENT)
def test_nothing_is_done_again(what: str, toy: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINE_C", "set outside")
    (toy.folder / "dangling").symlink_to("nowhere")
    toy.module("toy", HERE + TOY_MODULE + SILENT[what] + END)
    assert set(origins(toy, "first").values()) == {"done"}
    if what.startswith("a copy"):
        origins(toy, "between")
    assert set(origins(toy, "second").values()) == {"store"}


LEAKING = """
suite: leaking
data:
  toy: {source: npz, path: toy.npz}
models:
  one: {kind: classifier, load: "one:build"}
  two: {kind: classifier, load: "two:build"}
evaluations:
  wb: {kind: robustness, models: [one, two], data: toy, threat: {norm: linf, epsilon: 0.1}, attacks: [fgsm]}
"""


def test_one_component_does_not_change_the_path_or_the_environment_of_another(toy: Workshop) -> None:
    (toy.folder / "libone").mkdir()
    (toy.folder / "libone" / "hlp.py").write_text("SCALE = 0.0\n")
    toy.module("hlp", "SCALE = 4.0\n")
    build = TOY_MODULE + "\n\ndef build():\n    return linear(SCALE * float(os.environ.get('LEAK', '1')))\n"
    toy.module(
        "one",
        HERE + "os.environ['LEAK'] = '0'\nsys.path.insert(0, str(HERE / 'libone'))\nfrom hlp import SCALE\n" + build,
    )
    toy.module("two", HERE + "from hlp import SCALE\n" + build)
    inline = toy.rows(toy.run(LEAKING))
    local = toy.rows(toy.run(LEAKING, executor="local", out=toy.folder / "local", store=toy.folder / "other"))
    assert {row: each.value for row, each in inline.items()} == {row: each.value for row, each in local.items()}
    assert "LEAK" not in os.environ


def test_what_a_model_does_only_when_it_is_attacked_is_not_excused(toy: Workshop) -> None:
    """Its building, where it needs no gradient, says nothing of it."""
    toy.module(
        "toy",
        HERE + "import subprocess\n" + TOY_MODULE.replace("model = nn.Linear(4, 2)", "model = Net(4, 2)") + "\n\n"
        "class Net(nn.Linear):\n"
        "    def forward(self, x):\n"
        "        if x.requires_grad:\n"
        "            subprocess.run(['true'], check=True)\n"
        "        return super().forward(x)\n",
    )
    assert set(origins(toy, "first").values()) == {"done"}
    again = origins(toy, "second")
    assert again["build/lin"] == "store"
    assert again["attack/wb/lin/0/fgsm/0"] == "done"
