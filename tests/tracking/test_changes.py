"""A change to what a row depends on is seen: exactly the jobs behind it are done again, and the gate tells the drop."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.tracking.projects import (
    FIXED,
    HERE,
    LINEAR,
    TILTED,
    Project,
    Ran,
    project,
    save_checkpoint,
    suite,
)

ROBUST = {"rows": [{"match": "*/robust_accuracy"}]}
"""Gates the robust accuracy under each attack, not of the worst case alone."""


def check(
    made: Project,
    change: Callable[[], object],
    *,
    again: Callable[[str], bool],
    row: str,
    later: Iterable[str] = (),
    code: int = 0,
    gate: tuple[int, str] = (1, "regression"),
) -> tuple[Ran, Ran]:
    """Run, change something, and run again.

    Args:
        made: The project.
        change: The change.
        again: Says of a job by its id whether it has to be done again.
        row: A row whose figure changes by at least ten points.
        later: Data sets whose users are not known until their job has run.
        code: How the second run ends.
        gate: How the gate ends, and a word that it says.

    Returns:
        Both runs.
    """
    first = made.run()
    assert first.code == 0, first.output
    jobs = first.done | first.reused
    dependent = {job for job in jobs if again(job)}
    assert dependent, "the test has to name some"
    assert jobs - dependent, "and not all"
    made.baseline()
    assert not made.plan().to_do, "before the change nothing is to be done"

    change()
    planned = made.plan()
    unknown = {job for job in dependent if not job.startswith("data/")} if later else set()
    assert set(planned.to_do) == dependent - unknown, planned.output
    assert planned.cached == jobs - dependent, planned.output
    assert planned.later == set(later), planned.output

    second = made.run()
    assert second.code == code, second.output
    assert second.done == dependent
    assert second.reused == jobs - dependent
    assert first.rows[row] - second.rows[row] >= 0.1, (first.rows[row], second.rows[row])
    ended = made.gate()
    assert ended.code == gate[0], ended.output
    assert gate[1] in ended.output, ended.output
    assert not made.plan().to_do, "after it nothing is left to do"
    return first, second


def part(word: str) -> Callable[[str], bool]:
    """Whether a job's id has this part."""
    return lambda job: word in job.split("/")


def judging(model: str) -> Callable[[str], bool]:
    """Whether a job uses a model with what is put around it, and does not make it."""
    return lambda job: model in job.split("/") and job.split("/")[0] != "build"


def test_a_checkpoint_that_the_factory_reads(tmp_path: Path) -> None:
    code = HERE + LINEAR + (
        "\n\ndef build(file):\n"
        "    model = linear(0.0)\n"
        "    model.load_state_dict(torch.load(HERE / 'runs' / f'{file}.pt'))\n"
        "    return model\n"
    )  # fmt: skip
    save_checkpoint(tmp_path / "runs" / "best.pt", 0.0)
    save_checkpoint(tmp_path / "runs" / "other.pt", 0.1)
    models = {
        "best": {"load": "nets:build", "args": {"file": "best"}},
        "other": {"load": "nets:build", "args": {"file": "other"}},
        "fixed": "fixed:build",
    }
    made = project(tmp_path, suite(models), {"nets.py": code, "fixed.py": FIXED})
    check(
        made,
        lambda: save_checkpoint(tmp_path / "runs" / "best.pt", TILTED),
        again=part("best"),
        row="wb/best/worst-case/linf-0.1/robust_accuracy",
    )


def test_a_helper_module(tmp_path: Path) -> None:
    """Two modules away from the one that the suite names."""
    files = {
        "nets.py": "from shapes import build\n",
        "shapes.py": LINEAR + "\nfrom sizes import TILT\n\n\ndef build():\n    return linear(TILT)\n",
        "sizes.py": "TILT = 0.0\n",
        "fixed.py": FIXED,
    }
    made = project(tmp_path, suite({"helped": "nets:build", "fixed": "fixed:build"}), files)
    check(
        made,
        lambda: made.write("sizes.py", f"TILT = {TILTED}\n"),
        again=part("helped"),
        row="wb/helped/worst-case/linf-0.1/robust_accuracy",
    )


def test_a_file_that_a_data_function_reads(tmp_path: Path) -> None:
    """The evaluation of the other data set stays as it is."""
    reading = HERE + (
        "import numpy as np\n\n\n"
        "def load():\n"
        "    with np.load(HERE / 'points.npz') as arrays:\n"
        "        x, y = arrays['x'], arrays['y']\n"
        "    wrong = int((HERE / 'wrong.txt').read_text())\n"
        "    y[:wrong] = 1 - y[:wrong]\n"
        "    return x, y\n"
    )
    made = project(
        tmp_path,
        suite(
            {"fixed": "fixed:build"},
            data={"ours": {"source": "reading:load"}, "file": {"source": "npz", "path": "points.npz"}},
            evaluations={"other": {"data": "file"}},
        ),
        {"fixed.py": FIXED, "reading.py": reading, "wrong.txt": "0\n"},
    )
    check(
        made,
        lambda: made.write("wrong.txt", "60\n"),
        again=lambda job: job == "data/ours" or job.split("/")[1] == "wb",
        later=["ours"],
        row="wb/fixed/worst-case/linf-0.1/robust_accuracy",
    )


def test_a_helper_of_a_metric(tmp_path: Path) -> None:
    """Of a user's metric the gate does not know which direction is better; the suite says so."""
    metric = (
        "from scales import SCALE\n\n\n"
        "def {name}(model, x, examples, y):\n"
        "    return SCALE * (model(examples).argmax(1) == y).double()\n"
    )
    row = "wb/fixed/fgsm/linf-0.1/kept"
    text = suite(
        {"fixed": "fixed:build"},
        metrics=["robust_accuracy", "keeping:kept", "plain:plain"],
        gate={"rows": [{"match": "*/kept", "better": "higher"}, {"match": "*/robust_accuracy"}]},
    )
    files = {
        "fixed.py": FIXED,
        "keeping.py": metric.format(name="kept"),
        "scales.py": "SCALE = 1.0\n",
        "plain.py": metric.format(name="plain").replace("from scales import SCALE", "SCALE = 1.0"),
    }
    made = project(tmp_path, text, files)
    check(
        made,
        lambda: made.write("scales.py", "SCALE = 0.5\n"),
        again=part("kept"),
        row=row,
    )


def test_a_helper_of_an_attack(tmp_path: Path) -> None:
    """A figure that is lower since the attack's code changed is a regression; a higher one would not be compared."""
    attack = (
        "from {helper} import SCALE\n\nimport torch\n\n\n"
        "def {name}(model, x, goal, *, threat, draws):\n"
        "    point = x.clone().requires_grad_()\n"
        "    (grad,) = torch.autograd.grad(goal.loss(model(point)).sum(), point)\n"
        "    return threat.project(x + SCALE * threat.epsilon * grad.sign(), x)\n"
    )
    files = {
        "fixed.py": FIXED,
        "step.py": attack.format(helper="lengths", name="step"),
        "lengths.py": "SCALE = 0.1\n",
        "hop.py": attack.format(helper="others", name="hop"),
        "others.py": "SCALE = 0.1\n",
    }
    made = project(
        tmp_path, suite({"fixed": "fixed:build"}, attacks=["fgsm", "step:step", "hop:hop"], gate=ROBUST), files
    )
    first = made.run()
    assert first.code == 0, first.output
    made.baseline()
    made.write("lengths.py", "SCALE = 0.9\n")  # at 1 its examples are those of FGSM, which were judged before
    planned = made.plan()
    assert set(planned.to_do) == {"attack/wb/fixed/0/step/0", "verify/wb/fixed/0/step/0"}, planned.output
    assert planned.cached == (first.done | first.reused) - set(planned.to_do)
    second = made.run()
    assert second.done == set(planned.to_do)
    row = "wb/fixed/step/linf-0.1/robust_accuracy"
    assert first.rows[row] - second.rows[row] >= 0.1
    ended = made.gate()
    assert ended.code == 1, ended.output
    assert any(line.startswith("regression") and row in line for line in ended.output.splitlines())
    made.baseline()
    made.write("lengths.py", "SCALE = 0.1\n")
    assert made.run().code == 0
    weaker = made.gate()
    assert weaker.code == 3, weaker.output
    assert any(line.startswith("incomparable") and row in line for line in weaker.output.splitlines())


def test_a_defence_in_a_list(tmp_path: Path) -> None:
    guard = (
        "from {helper} import TILT\nfrom torch import nn\n\n\n"
        "class {name}(nn.Module):\n"
        "    def __init__(self, network):\n        super().__init__()\n        self.network = network\n\n"
        "    def forward(self, x):\n"
        "        return self.network(x + TILT * (x[:, 1:] - 0.5).sum(1, keepdim=True))\n"
    )
    models = {
        "guarded": {"load": "fixed:build", "defenses": ["inner:Inner", "outer:Outer"]},
        "half": {"load": "fixed:build", "defenses": ["inner:Inner"]},
        "bare": "fixed:build",
    }
    files = {
        "fixed.py": FIXED,
        "inner.py": guard.format(helper="one", name="Inner"),
        "one.py": "TILT = 0.0\n",
        "outer.py": guard.format(helper="two", name="Outer"),
        "two.py": "TILT = 0.0\n",
    }
    made = project(tmp_path, suite(models), files)
    check(
        made,
        lambda: made.write("two.py", f"TILT = {TILTED}\n"),
        again=judging("guarded"),
        row="wb/guarded/worst-case/linf-0.1/robust_accuracy",
    )


def test_an_environment_variable_that_the_factory_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was not set when the factory asked for it."""
    code = LINEAR + (
        "import os\n\n\n"
        "def build(variable):\n"
        "    return linear(float(os.environ.get(variable, '0')))\n"
    )  # fmt: skip
    models = {
        "one": {"load": "nets:build", "args": {"variable": "TRACKED_ONE"}},
        "two": {"load": "nets:build", "args": {"variable": "TRACKED_TWO"}},
    }
    made = project(tmp_path, suite(models), {"nets.py": code})
    check(
        made,
        lambda: monkeypatch.setenv("TRACKED_ONE", str(TILTED)),
        again=part("one"),
        row="wb/one/worst-case/linf-0.1/robust_accuracy",
    )


def test_a_new_file_that_shadows_a_module(tmp_path: Path) -> None:
    """A helper comes from a folder late on the path; the new file of its name lies in the folder bench is run from."""
    files = {
        "nets.py": LINEAR + "\nfrom helper_of_nets import TILT\n\n\ndef build():\n    return linear(TILT)\n",
        "lib/helper_of_nets.py": "TILT = 0.0\n",
        "fixed.py": LINEAR + "\nfrom helper_of_fixed import TILT\n\n\ndef build():\n    return linear(TILT)\n",
        "lib/helper_of_fixed.py": "TILT = 0.0\n",
    }
    made = project(
        tmp_path,
        suite({"helped": "nets:build", "fixed": "fixed:build"}),
        files,
        path=(tmp_path / "lib",),
        apart=True,
    )
    check(
        made,
        lambda: made.write("helper_of_nets.py", f"TILT = {TILTED}\n"),
        again=part("helped"),
        row="wb/helped/worst-case/linf-0.1/robust_accuracy",
    )


def test_a_new_file_in_a_listed_folder(tmp_path: Path) -> None:
    """The factory takes the last checkpoint there is."""
    code = HERE + LINEAR + (
        "import os\n\n\n"
        "def build():\n"
        "    model = linear(0.0)\n"
        "    last = sorted(os.listdir(HERE / 'runs'))[-1]\n"
        "    model.load_state_dict(torch.load(HERE / 'runs' / last))\n"
        "    return model\n\n\n"
        "def first():\n"
        "    model = linear(0.0)\n"
        "    model.load_state_dict(torch.load(HERE / 'runs' / 'epoch-1.pt'))\n"
        "    return model\n"
    )  # fmt: skip
    save_checkpoint(tmp_path / "runs" / "epoch-1.pt", 0.0)
    made = project(tmp_path, suite({"last": "nets:build", "first": "nets:first"}), {"nets.py": code})
    check(
        made,
        lambda: save_checkpoint(tmp_path / "runs" / "epoch-2.pt", TILTED),
        again=part("last"),
        row="wb/last/worst-case/linf-0.1/robust_accuracy",
    )


def test_a_package_that_is_installed_again(tmp_path: Path) -> None:
    """Another content under the same version; another package that was installed beside it stays as it is."""
    site = tmp_path / "site"
    for name in ("tilt_of_one", "tilt_of_two"):
        _install(tmp_path / "sources" / name, name, 0.0, site)
    files = {
        f"{model}.py": LINEAR + f"\nimport tilt_of_{model}\n\n\ndef build():\n    return linear(tilt_of_{model}.TILT)\n"
        for model in ("one", "two")
    }
    made = project(
        tmp_path / "work",
        suite({"one": "one:build", "two": "two:build"}),
        files,
        path=(site,),
        apart=True,
    )
    check(
        made,
        lambda: _install(tmp_path / "sources" / "tilt_of_one", "tilt_of_one", TILTED, site),
        again=part("one"),
        row="wb/one/worst-case/linf-0.1/robust_accuracy",
    )


def _install(source: Path, name: str, tilt: float, site: Path) -> None:
    """Install a package with pip from a folder into another folder, without asking an index."""
    shutil.rmtree(source, ignore_errors=True)
    (source / name).mkdir(parents=True)
    (source / name / "__init__.py").write_text("from .values import TILT\n")
    (source / name / "values.py").write_text(f"TILT = {tilt}\n")
    (source / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        f'[project]\nname = "{name}"\nversion = "1.0"\n[tool.setuptools]\npackages = ["{name}"]\n'
    )
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
    command += ["--no-build-isolation", "--no-deps", "--upgrade", "--target", str(site), str(source)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    assert list(site.glob(f"{name}-*.dist-info/RECORD"))
