"""Small projects of a user, each in a folder of its own, and what it takes to run `bench` in them."""

from __future__ import annotations

import contextlib
import csv
import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from typer.testing import CliRunner

LINEAR = '''
import torch
from torch import nn


def linear(tilt):
    """Class 1 where the first of four inputs is above a half; `tilt` says how much the other three count as well."""
    model = nn.Linear(4, 2)
    direction = torch.tensor([1.0, tilt, tilt, tilt])
    model.weight.data = 4 * torch.stack([-direction, direction])
    model.bias.data = 2 * direction.sum() * torch.tensor([1.0, -1.0])
    return model
'''
"""What models are made of: robust at a tilt of 0, much less so at one of `TILTED`."""

FIXED = LINEAR + "\n\ndef build():\n    return linear(0.0)\n"
"""A model that depends on nothing but its own module."""

TILTED = 0.6
"""The tilt that costs a model more than ten points of robust accuracy."""

COMMON = ("--store", "store", "--device", "cpu")
OUTSIDE = os.environ.get("BENCH_TESTS_OUTSIDE", "") == "1"
"""Whether every command is to have a process of its own."""


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: Its exit code.
        output: What it printed.
    """

    code: int
    output: str


@dataclass(frozen=True)
class Planned:
    """What `bench plan` says.

    Attributes:
        cached: Ids of the jobs whose results are there.
        to_do: The others, with the reason.
        later: Data sets whose users are not known yet.
        output: All it printed.
    """

    cached: frozenset[str]
    to_do: Mapping[str, str]
    later: frozenset[str]
    output: str


@dataclass(frozen=True)
class Ran:
    """What a run left.

    Attributes:
        code: Exit code.
        done: Ids of the jobs that were done.
        reused: Ids of those whose results were taken from the store.
        rows: The figures of the leaderboard by row id.
        output: What it printed.
    """

    code: int
    done: frozenset[str]
    reused: frozenset[str]
    rows: Mapping[str, float]
    output: str


@dataclass(frozen=True)
class Project:
    """A user's project.

    Attributes:
        folder: Where it is, and where bench is run from.
        uses: Files that the jobs of its suite are made of, but for the suite itself and what it names by path.
        python: The interpreter to run bench with.
        environment: Variables that are set for bench.
        path: Folders that PYTHONPATH begins with; they need `apart`.
        apart: Whether each command needs a process of its own.
    """

    folder: Path
    uses: tuple[Path, ...] = ()
    python: str = sys.executable
    environment: Mapping[str, str] = field(default_factory=dict)
    path: tuple[Path, ...] = ()
    apart: bool = False

    def write(self, name: str, text: str) -> Path:
        """Write a file."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def append(self, name: str, text: str) -> None:
        """Add to the end of a file."""
        path = self.folder / name
        path.write_text(path.read_text() + text)

    def replace(self, name: str, old: str, new: str) -> None:
        """Write a file anew with something in it replaced."""
        path = self.folder / name
        text = path.read_text()
        assert old in text, f"{name} has no {old!r}"
        path.write_text(text.replace(old, new))

    def shell(self, *words: str, before: Iterable[str] = (), **environment: str) -> Ended:
        """Run `bench` as a process of its own."""
        ended = subprocess.run(
            [*before, self.python, "-m", "bench", *words],
            cwd=self.folder,
            env=self.variables(**environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=180,
        )
        return Ended(ended.returncode, ended.stdout)

    def inside(self, *words: str, **environment: str) -> Ended:
        """Run `bench` in this process."""
        from bench.cli import app

        with _within(self.folder, {"OMP_NUM_THREADS": "1", **self.environment, **environment}):
            found = CliRunner().invoke(app, list(words))
        if found.exception is not None and not isinstance(found.exception, SystemExit):
            raise found.exception
        return Ended(found.exit_code, found.output)

    def bench(self, *words: str, **environment: str) -> Ended:
        """Run `bench`, in this process where it makes no difference."""
        return (self.shell if self.apart or OUTSIDE else self.inside)(*words, **environment)

    def run(self, *words: str, out: str = "out", **environment: str) -> Ran:
        """Run the suite."""
        ended = self.bench("run", "suite.yaml", "--out", out, *COMMON, *words, **environment)
        return self.ran(ended, out)

    def ran(self, ended: Ended, out: str = "out") -> Ran:
        """What a run left that ended so."""
        record = self.folder / out / "run.json"
        assert record.exists(), ended.output
        jobs = json.loads(record.read_text())["jobs"]
        origins = {job: facts.get("origin", facts["status"]) for job, facts in jobs.items()}
        with (self.folder / out / "leaderboard.csv").open(newline="") as lines:
            rows = {line["row"]: float(line["value"] or "nan") for line in csv.DictReader(lines)}
        done = frozenset(job for job, origin in origins.items() if origin == "done")
        return Ran(ended.code, done, frozenset(origins) - done, rows, ended.output)

    def plan(self, *words: str, **environment: str) -> Planned:
        """What a run would do."""
        return planned(self.bench("plan", "suite.yaml", *COMMON, *words, **environment))

    def baseline(self) -> None:
        """Keep the figures of the last run."""
        ended = self.bench("baseline", "out", "-o", "base.json")
        assert ended.code == 0, ended.output

    def gate(self) -> Ended:
        """Compare the last run with what was kept."""
        return self.bench("gate", "out", "--baseline", "base.json")

    def used(self) -> dict[str, set[Path]]:
        """The files in the list of each job of the last run."""
        if self.apart:
            return {job: set(map(Path, paths)) for job, paths in self._lists("used").items()}
        from tests.tracking.conftest import used

        with _within(self.folder, {}):  # names in lists are relative to where bench is run from
            return used(self.folder / "out", self.folder / "store")

    def untracked(self) -> dict[str, list[str]]:
        """Why lists of the last run are incomplete, by job."""
        if self.apart:
            return {job: why for job, why in self._lists("untracked").items() if why}
        from tests.tracking.conftest import untracked

        with _within(self.folder, {}):
            return {job: why for job, why in untracked(self.folder / "out", self.folder / "store").items() if why}

    def _lists(self, function: str) -> dict[str, list[str]]:
        """What a function of `conftest.py` says in a process with the interpreter and the path of this project."""
        code = (
            "import json, sys\nfrom pathlib import Path\n"
            f"sys.path.append({str(Path(__file__).resolve().parents[2])!r})\n"
            f"from tests.tracking.conftest import {function}\n"
            f"found = {function}(Path('out').resolve(), Path('store').resolve())\n"
            "print(json.dumps({job: sorted(map(str, each)) for job, each in found.items()}))\n"
        )
        asked = subprocess.run(
            [self.python, "-c", code],
            cwd=self.folder,
            env=self.variables(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert asked.returncode == 0, asked.stderr
        found: dict[str, list[str]] = json.loads(asked.stdout)
        return found

    def variables(self, **environment: str) -> dict[str, str]:
        """The environment of a process of this project."""
        path = [*map(str, self.path), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
        search = {"PYTHONPATH": os.pathsep.join(path)} if path else {}
        return {**os.environ, "OMP_NUM_THREADS": "1", **search, **self.environment, **environment}


def planned(ended: Ended) -> Planned:
    """What `bench plan` has printed."""
    assert ended.code == 0, ended.output
    cached = re.findall(r"^cached +(\S+)  \(", ended.output, re.MULTILINE)
    to_do = dict(re.findall(r"^to do +(\S+)  \((.*)\)$", ended.output, re.MULTILINE))
    later = re.findall(r"^later +what uses data '([^']+)'", ended.output, re.MULTILINE)
    counts = re.findall(r"^(\d+) jobs?: (\d+) cached, (\d+) to do$", ended.output, re.MULTILINE)
    assert counts == [(str(len(cached) + len(to_do)), str(len(cached)), str(len(to_do)))], ended.output
    return Planned(frozenset(cached), to_do, frozenset(later), ended.output)


@contextlib.contextmanager
def _within(folder: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """Another working directory and environment; what was imported from there is forgotten afterwards."""
    here, path, before = Path.cwd(), list(sys.path), dict(os.environ)
    os.chdir(folder)
    os.environ.update(environment)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        os.chdir(here)
        os.environ.clear()
        os.environ.update(before)
        sys.path[:] = path
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None) or "").startswith(f"{folder}{os.sep}"):
                del sys.modules[name]


def points(count: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points in the unit cube of four dimensions; the class says on which side of a half the first number is."""
    x = np.random.default_rng(seed).random((count, 4)).astype(np.float32)
    return x, (x[:, 0] > 0.5).astype(np.int64)


def save_points(path: Path, count: int = 200) -> Path:
    """Write points and their classes."""
    x, y = points(count)
    np.savez(path, x=x, y=y)
    return path


def weights(tilt: float) -> dict[str, np.ndarray]:
    """The arrays of a model of this tilt."""
    direction = np.array([1, tilt, tilt, tilt], np.float32)
    side = np.array([1, -1], np.float32)
    return {"weight": 4 * np.stack([-direction, direction]), "bias": 2 * direction.sum() * side}


def save_checkpoint(path: Path, tilt: float) -> Path:
    """Write a model's state as torch does."""
    import torch

    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({name: torch.from_numpy(values) for name, values in weights(tilt).items()}, path)
    return path


def save_torchscript(path: Path, tilt: float) -> Path:
    """Write a model as a TorchScript program."""
    import torch

    model = torch.nn.Linear(4, 2)
    model.load_state_dict({name: torch.from_numpy(values) for name, values in weights(tilt).items()})
    torch.jit.save(torch.jit.trace(model, torch.zeros(1, 4)), path)
    return path


def suite(
    models: Mapping[str, Any],
    *,
    data: Mapping[str, Any] | None = None,
    attacks: Iterable[Any] = ("fgsm",),
    metrics: Iterable[Any] = ("robust_accuracy",),
    epsilon: float = 0.1,
    evaluations: Mapping[str, Any] | None = None,
    **more: Any,
) -> str:
    """A suite of classifiers as text: JSON is YAML.

    Args:
        models: Import name of the factory of each, or its block.
        data: Data sets; an .npz file of points when None.
        attacks: Attacks of the evaluation `wb`.
        metrics: Its metrics.
        epsilon: Its radius.
        evaluations: Further ones, or the same with other keys.
        **more: Further keys of the suite.
    """
    blocks = {
        name: {"kind": "classifier", **({"load": block} if isinstance(block, str) else block)}
        for name, block in models.items()
    }
    data = data or {"points": {"source": "npz", "path": "points.npz"}}
    first = {
        "kind": "robustness",
        "models": list(blocks),
        "data": next(iter(data)),
        "threat": {"norm": "linf", "epsilon": epsilon},
        "attacks": list(attacks),
        "metrics": list(metrics),
    }
    others = {name: {**first, **block} for name, block in (evaluations or {}).items()}
    written = {"suite": "tracked", "data": data, "models": blocks, "evaluations": {"wb": first, **others}, **more}
    return json.dumps(written, indent=1) + "\n"


def project(folder: Path, text: str, files: Mapping[str, str], *, uses: Iterable[str] = (), **more: Any) -> Project:
    """Write a project.

    Args:
        folder: Where to.
        text: Its suite.
        files: Its text files.
        uses: Further files that its jobs are made of; the Python files among `files` are taken for such as well.
        **more: Further attributes of the project.
    """
    folder.mkdir(parents=True, exist_ok=True)
    save_points(folder / "points.npz")
    made = Project(folder, tuple(folder / name for name in dict.fromkeys([*files, *uses])), **more)
    made.write("suite.yaml", text)
    for name, content in files.items():
        made.write(name, content)
    return made


DATA = {"points": {"source": "reading:load"}}
"""A data set that a function of the project makes."""

HERE = "from pathlib import Path\n\nHERE = Path(__file__).resolve().parent\n"


def torch_checkpoint(folder: Path) -> Project:
    """A factory that reads what `torch.save` wrote."""
    code = HERE + LINEAR + (
        "\n\ndef build():\n"
        "    model = linear(0.0)\n"
        "    model.load_state_dict(torch.load(HERE / 'runs' / 'best.pt'))\n"
        "    return model\n"
    )  # fmt: skip
    save_checkpoint(folder / "runs" / "best.pt", 0.1)
    return project(folder, suite({"net": "nets:build"}), {"nets.py": code}, uses=["runs/best.pt"])


def safetensors_checkpoint(folder: Path) -> Project:
    """A factory that reads a safetensors file."""
    from safetensors.numpy import save_file

    code = HERE + LINEAR + (
        "from safetensors.torch import load_file\n\n\n"
        "def build():\n"
        "    model = linear(0.0)\n"
        "    model.load_state_dict(load_file(HERE / 'best.safetensors'))\n"
        "    return model\n"
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights(0.1), folder / "best.safetensors")
    return project(folder, suite({"net": "nets:build"}), {"nets.py": code}, uses=["best.safetensors"])


def npz_checkpoint(folder: Path) -> Project:
    """A factory that reads arrays, and a data function beside it that does the same."""
    code = HERE + LINEAR + (
        "import numpy as np\n\n\n"
        "def build():\n"
        "    model = linear(0.0)\n"
        "    with np.load(HERE / 'best.npz') as arrays:\n"
        "        model.load_state_dict({name: torch.from_numpy(arrays[name]) for name in arrays.files})\n"
        "    return model\n"
    )  # fmt: skip
    reading = HERE + (
        "import numpy as np\n\n\n"
        "def load():\n"
        "    with np.load(HERE / 'points.npz') as arrays:\n"
        "        return arrays['x'], arrays['y']\n"
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "best.npz", **weights(0.1))
    return project(
        folder,
        suite({"net": "nets:build"}, data=DATA),
        {"nets.py": code, "reading.py": reading},
        uses=["best.npz", "points.npz"],
    )


def relative_imports(folder: Path) -> Project:
    """A package whose modules import one another by relative names."""
    files = {
        "mine/__init__.py": "'A package.'\n",
        "mine/models.py": "from .parts import layers\nfrom .parts.sizes import TILT\n\n\n"
        "def build():\n    return layers.linear(TILT)\n",
        "mine/parts/__init__.py": "from . import layers\n",
        "mine/parts/layers.py": LINEAR,
        "mine/parts/sizes.py": "from ..settings import SCALE\n\nTILT = 0.1 * SCALE\n",
        "mine/settings.py": "SCALE = 1\n",
    }
    return project(folder, suite({"net": "mine.models:build"}), files)


def editable_install(folder: Path) -> Project:
    """A package that is installed in editable form into a virtual environment."""
    import sysconfig

    environment = folder / "venv"
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "venv", "--without-pip", "--system-site-packages", str(environment)]
    subprocess.run(command, check=True)
    site = next(environment.glob("lib/python*/site-packages"))
    # an environment in front of the one that these tests run in
    (site / "base.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    source = folder / "checkout" / "src"
    (site / "__editable__.editable_mine-0.1.pth").write_text(f"{source}\n")
    info = site / "editable_mine-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: editable-mine\nVersion: 0.1\n")
    (info / "INSTALLER").write_text("pip\n")
    (info / "direct_url.json").write_text(
        json.dumps({"dir_info": {"editable": True}, "url": f"file://{source.parent}"})
    )
    names = ["METADATA", "INSTALLER", "direct_url.json", "RECORD"]
    record = [f"{info.name}/{name},," for name in names] + ["__editable__.editable_mine-0.1.pth,,"]
    (info / "RECORD").write_text("\n".join(record) + "\n")
    return project(
        folder / "work",
        suite({"net": "editable_mine.nets:build"}),
        {
            "../checkout/src/editable_mine/__init__.py": "",
            "../checkout/src/editable_mine/nets.py": LINEAR
            + "\nfrom editable_mine.settings import TILT\n\n\ndef build():\n    return linear(TILT)\n",
            "../checkout/src/editable_mine/settings.py": "TILT = 0.1\n",
        },
        python=str(environment / "bin" / "python"),
        apart=True,
    )


def image_folder(folder: Path) -> Project:
    """A data function that uses torchvision's ImageFolder."""
    from PIL import Image

    x, y = points(24)
    names = []
    for index, (values, label) in enumerate(zip(x, y, strict=True)):
        name = f"images/{'high' if label else 'a-low'}/{index:02d}.png"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((values.reshape(2, 2) * 255).astype(np.uint8)).save(folder / name)
        names.append(name)
    reading = HERE + (
        "import torch\n"
        "from torchvision import transforms\n"
        "from torchvision.datasets import ImageFolder\n\n\n"
        "def load():\n"
        "    steps = transforms.Compose([transforms.Grayscale(), transforms.ToTensor()])\n"
        "    pairs = list(ImageFolder(HERE / 'images', transform=steps))\n"
        "    return torch.stack([image for image, _ in pairs]), torch.tensor([label for _, label in pairs])\n"
    )
    nets = LINEAR + "\n\ndef build():\n    return nn.Sequential(nn.Flatten(), linear(0.0))\n"
    return project(
        folder, suite({"net": "nets:build"}, data=DATA), {"nets.py": nets, "reading.py": reading}, uses=names
    )


def shared_cached_reader(folder: Path) -> Project:
    """A reader with a cache that a data function and two factories share: only the first call opens the file."""
    store = HERE + (
        "from functools import lru_cache\n\nimport numpy as np\n\n\n"
        "@lru_cache\n"
        "def arrays(name):\n"
        "    with np.load(HERE / name) as file:\n"
        "        return {key: file[key] for key in file.files}\n"
    )
    nets = LINEAR + (
        "\nfrom store import arrays\n\n\n"
        "def build():\n    return linear(float(arrays('all.npz')['tilt']))\n\n\n"
        "def flat():\n    return linear(0.5 * float(arrays('all.npz')['tilt']))\n"
    )
    reading = "from store import arrays\n\n\ndef load():\n    return arrays('all.npz')['x'], arrays('all.npz')['y']\n"
    folder.mkdir(parents=True, exist_ok=True)
    x, y = points(60)
    np.savez(folder / "all.npz", x=x, y=y, tilt=np.float32(0.1))
    return project(
        folder,
        suite({"net": "nets:build", "flat": "nets:flat"}, data=DATA),
        {"store.py": store, "nets.py": nets, "reading.py": reading},
        uses=["all.npz"],
    )


def data_loader_workers(folder: Path) -> Project:
    """A data function whose files are read by worker processes of a DataLoader."""
    x, y = points(24)
    names = []
    for index, (values, label) in enumerate(zip(x, y, strict=True)):
        name = f"shards/{index:02d}.npy"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(folder / name, np.append(values, np.float32(label)))
        names.append(name)
    reading = HERE + (
        "import numpy as np\nimport torch\nfrom torch.utils.data import DataLoader, Dataset\n\n\n"
        "class Shards(Dataset):\n"
        "    def __len__(self):\n        return 24\n\n"
        "    def __getitem__(self, index):\n"
        "        return torch.from_numpy(np.load(HERE / 'shards' / f'{index:02d}.npy'))\n\n\n"
        "def load():\n"
        "    loader = DataLoader(Shards(), batch_size=6, num_workers=2, multiprocessing_context='fork')\n"
        "    rows = torch.cat(list(loader))\n"
        "    return rows[:, :4], rows[:, 4].long()\n"
    )
    return project(
        folder, suite({"net": "nets:build"}, data=DATA), {"nets.py": FIXED, "reading.py": reading}, uses=names
    )


def import_in_forward(folder: Path) -> Project:
    """A model that imports a module of the project when it is called."""
    nets = LINEAR + (
        "\n\nclass Net(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.inner = linear(0.1)\n\n"
        "    def forward(self, x):\n"
        "        from scaling import scaled\n\n"
        "        return scaled(self.inner(x))\n\n\n"
        "def build():\n    return Net()\n"
    )
    scaling = "def scaled(logits):\n    return 2 * logits\n"
    return project(folder, suite({"net": "nets:build"}), {"nets.py": nets, "scaling.py": scaling})


def yaml_configuration(folder: Path) -> Project:
    """A configuration in YAML that extends another one."""
    nets = HERE + LINEAR + (
        "import yaml\n\n\n"
        "def read(name):\n"
        "    found = yaml.safe_load((HERE / 'configs' / name).read_text())\n"
        "    return {**(read(found['extends']) if 'extends' in found else {}), **found}\n\n\n"
        "def build(config):\n    return linear(read(config)['tilt'])\n"
    )  # fmt: skip
    return project(
        folder,
        suite({"net": {"load": "nets:build", "args": {"config": "small.yaml"}}}),
        {
            "nets.py": nets,
            "configs/base.yaml": "tilt: 0.1\nwidth: 3\n",
            "configs/small.yaml": "extends: base.yaml\nwidth: 2\n",
        },
    )


def json_configuration(folder: Path) -> Project:
    """A configuration in JSON."""
    nets = HERE + LINEAR + (
        "import json\n\nCONFIG = json.loads((HERE / 'config.json').read_text())\n\n\n"
        "def build():\n    return linear(CONFIG['tilt'])\n"
    )  # fmt: skip
    return project(folder, suite({"net": "nets:build"}), {"nets.py": nets, "config.json": '{"tilt": 0.1}\n'})


def torchscript(folder: Path) -> Project:
    """A TorchScript program that the factory loads."""
    nets = HERE + (
        "import torch\n\n\ndef build():\n"
        "    program = torch.jit.load(str(HERE / 'program.pt'))\n"
        "    return lambda x: program(x)\n"
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    save_torchscript(folder / "program.pt", 0.1)
    return project(folder, suite({"net": "nets:build"}), {"nets.py": nets}, uses=["program.pt"])


def registry(folder: Path) -> Project:
    """A package that imports all its modules, in which decorators enter models into a table."""
    files = {
        "gallery/__init__.py": "import importlib\nimport pkgutil\n\nfrom .table import create\n\n"
        "for found in pkgutil.iter_modules(__path__):\n    importlib.import_module(f'{__name__}.{found.name}')\n",
        "gallery/table.py": "TABLE = {}\n\n\ndef register(function):\n    TABLE[function.__name__] = function\n"
        "    return function\n\n\ndef create(name):\n    return TABLE[name]()\n",
        "gallery/plain.py": LINEAR
        + "\nfrom .table import register\n\n\n@register\ndef plain():\n    return linear(0.0)\n",
        "gallery/tilted.py": LINEAR
        + "\nfrom .table import register\n\n\n@register\ndef tilted():\n    return linear(0.1)\n",
    }
    return project(folder, suite({"net": {"load": "gallery:create", "args": {"name": "tilted"}}}), files)


def pickled(folder: Path) -> Project:
    """A pickle with the arrays of a model."""
    import pickle

    nets = HERE + LINEAR + (
        "import pickle\n\n\n"
        "def build():\n"
        "    model = linear(0.0)\n"
        "    with (HERE / 'best.pkl').open('rb') as file:\n"
        "        model.load_state_dict({name: torch.tensor(value) for name, value in pickle.load(file).items()})\n"
        "    return model\n"
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "best.pkl").write_bytes(pickle.dumps({name: array.tolist() for name, array in weights(0.1).items()}))
    return project(folder, suite({"net": "nets:build"}), {"nets.py": nets}, uses=["best.pkl"])


def dataclass_configuration(folder: Path) -> Project:
    """Settings in a dataclass of a module of their own."""
    files = {
        "settings.py": "from dataclasses import dataclass\n\n\n@dataclass(frozen=True)\nclass Settings:\n"
        "    tilt: float = 0.1\n    scale: float = 1.0\n",
        "nets.py": LINEAR
        + "\nfrom settings import Settings\n\n\ndef build(**options):\n    return linear(Settings(**options).tilt)\n",
    }
    return project(folder, suite({"net": {"load": "nets:build", "args": {"scale": 2.0}}}), files)


def namespace_package(folder: Path) -> Project:
    """A package without `__init__.py` whose two portions are found in the folder and beside it on the path."""
    files = {
        "space/nets.py": LINEAR + "\nfrom space.deep.tilts import TILT\n\n\ndef build():\n    return linear(TILT)\n",
        "space/deep/tilts.py": "TILT = 0.1\n",
    }
    return project(folder, suite({"net": "space.nets:build"}), files)


def package_resources(folder: Path) -> Project:
    """A file inside a package, read through importlib.resources."""
    files = {
        "boxed/__init__.py": "",
        "boxed/nets.py": LINEAR
        + "\nfrom importlib import resources\n\n\ndef build():\n"
        + "    return linear(float(resources.files('boxed').joinpath('files', 'tilt.txt').read_text()))\n",
        "boxed/files/tilt.txt": "0.1\n",
    }
    return project(folder, suite({"net": "boxed.nets:build"}), files)


def lazy_file(folder: Path) -> Project:
    """A model that reads its weights when it is first called."""
    nets = HERE + LINEAR + (
        "\n\nclass Net(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.inner = None\n\n"
        "    def forward(self, x):\n"
        "        if self.inner is None:\n"
        "            with torch.inference_mode(False):\n"
        "                self.inner = linear(float((HERE / 'tilt.txt').read_text()))\n"
        "        return self.inner(x)\n\n\n"
        "def build():\n    return Net()\n"
    )  # fmt: skip
    return project(folder, suite({"net": "nets:build"}), {"nets.py": nets, "tilt.txt": "0.1\n"})


def own_everything(folder: Path) -> Project:
    """Data, a model, a defence, an attack and a metric of the project, each with a module or file behind it."""
    files = {
        "nets.py": LINEAR + "\nfrom tilts import TILT\n\n\ndef build():\n    return linear(TILT)\n",
        "tilts.py": "TILT = 0.1\n",
        "guard.py": HERE
        + "from torch import nn\n\n\nclass Guard(nn.Module):\n    def __init__(self, network, power):\n"
        + "        super().__init__()\n        self.network = network\n        self.power = power\n"
        + "        self.scale = float((HERE / 'scale.txt').read_text())\n\n"
        + "    def forward(self, x):\n        return self.scale * self.network(x) ** self.power\n",
        "scale.txt": "3.0\n",
        "steps.py": "from sizes import SIZE\n\n\ndef step(model, x, goal, *, threat, draws):\n"
        "    signs = (draws.uniform(tuple(x.shape[1:]), 0) - 0.5).sign()\n"
        "    return threat.project(x + SIZE * threat.epsilon * signs, x)\n",
        "sizes.py": "SIZE = 1.0\n",
        "lost.py": "from powers import POWER\n\n\ndef confidence(model, x, examples, y):\n"
        "    before, after = model(x).softmax(1), model(examples).softmax(1)\n"
        "    return (before - after).gather(1, y[:, None]).squeeze(1) ** POWER\n",
        "powers.py": "POWER = 2\n",
        "reading.py": HERE
        + "import numpy as np\n\n\ndef load():\n    with np.load(HERE / 'points.npz') as arrays:\n"
        + "        return {'x': arrays['x'][:50], 'y': arrays['y'][:50]}\n",
    }
    text = suite(
        {"net": {"load": "nets:build", "defenses": [{"guard:Guard": {"power": 1}}]}},
        data=DATA,
        attacks=["fgsm", "steps:step"],
        metrics=["robust_accuracy", "lost:confidence"],
    )
    return project(folder, text, files, uses=["points.npz"])


def globbed_shards(folder: Path) -> Project:
    """A data function that reads whatever shards a pattern finds, in folders below one another."""
    x, y = points(40)
    names = []
    for index in range(4):
        name = f"shards/{index % 2}/part-{index}.csv"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        rows = np.column_stack([x[index::4], y[index::4]])
        np.savetxt(folder / name, rows, delimiter=",")
        names.append(name)
    reading = HERE + (
        "import numpy as np\n\n\n"
        "def load():\n"
        "    files = sorted((HERE / 'shards').rglob('*.csv'))\n"
        "    rows = np.concatenate([np.loadtxt(file, delimiter=',') for file in files])\n"
        "    return rows[:, :4], rows[:, 4].astype(int)\n"
    )
    return project(
        folder, suite({"net": "nets:build"}, data=DATA), {"nets.py": FIXED, "reading.py": reading}, uses=names
    )


def generator(folder: Path) -> Project:
    """A generator whose points come from a file, a metric with a helper, and a network of features."""
    np.save(_made(folder) / "centre.npy", np.float32([0.5, 0.25]))
    files = {
        "draw.py": HERE
        + "import numpy as np\nimport torch\nfrom torch import nn\n\n\nclass Circle(nn.Module):\n"
        + "    latent_size = 2\n\n    def __init__(self):\n        super().__init__()\n"
        + "        self.centre = torch.from_numpy(np.load(HERE / 'centre.npy'))\n\n"
        + "    def forward(self, z):\n        return self.centre + z / z.norm(dim=1, keepdim=True)\n",
        "shift.py": "from norms import norm\n\n\ndef mean(samples, reference):\n"
        "    return norm(samples.mean(0) - reference.mean(0))\n",
        "norms.py": "def norm(vector):\n    return vector.abs().sum()\n",
        "bent.py": "from powers import POWER\n\nfrom torch import nn\n\n\nclass Bent(nn.Module):\n"
        "    def forward(self, x):\n        return x ** POWER\n",
        "powers.py": "POWER = 2\n",
    }
    text = json.dumps(
        {
            "suite": "tracked",
            "data": {"ring": {"source": "ring8", "samples": 200}},
            "models": {
                "circle": {"kind": "generator", "load": "draw:Circle"},
                "bent": {"kind": "features", "load": "bent:Bent"},
            },
            "evaluations": {
                "gen": {
                    "kind": "generation",
                    "models": ["circle"],
                    "data": "ring",
                    "samples": 80,
                    "metrics": ["modes", "shift:mean", {"frechet": {"features": "bent"}, "as": "bent-frechet"}],
                }
            },
        },
        indent=1,
    )
    return project(folder, text, files, uses=["centre.npy"])


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


PROJECTS: Mapping[str, Callable[[Path], Project]] = {
    builder.__name__.replace("_", "-"): builder
    for builder in (
        torch_checkpoint, safetensors_checkpoint, npz_checkpoint, relative_imports, editable_install, image_folder,
        shared_cached_reader, data_loader_workers, import_in_forward, yaml_configuration, json_configuration,
        torchscript, registry, pickled, dataclass_configuration, namespace_package, package_resources, lazy_file,
        own_everything, globbed_shards, generator,
    )
}  # fmt: skip
"""Ordinary projects by name: every file they use can be named."""


@dataclass(frozen=True)
class Watched:
    """A project that was run once, in a process of its own.

    Attributes:
        project: The project.
        first: What its run left.
        log: What strace wrote of that run; None where it cannot be used here.
    """

    project: Project
    first: Ran
    log: Path | None


_WATCHED: dict[str, Watched] = {}


def tracing() -> str:
    """Why system calls cannot be watched here; empty where they can."""
    try:
        tried = subprocess.run(
            ["strace", "-f", "--seccomp-bpf", "-o", os.devnull, "true"], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return "strace is not installed here"
    return "" if tried.returncode == 0 else f"strace may not watch processes here: {tried.stderr.strip()[:200]}"


def watched(name: str, folder: Path) -> Watched:
    """One of `PROJECTS` with its first run, which is made once in a session.

    Args:
        name: Its name.
        folder: Where to make it, if it is not made yet.
    """
    if name not in _WATCHED:
        made = PROJECTS[name](folder / name)
        log = None if tracing() else folder / f"{name}.strace"
        before = () if log is None else ("strace", "-f", "-y", "--seccomp-bpf", "-e", "trace=openat,open,execve")
        before = (*before, "-o", str(log)) if before else before
        ended = made.shell("run", "suite.yaml", "--out", "out", *COMMON, "--executor", "local", before=before)
        _WATCHED[name] = Watched(made, made.ran(ended), log)
    return _WATCHED[name]
