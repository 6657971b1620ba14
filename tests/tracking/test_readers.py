"""Many ways to read a file: each file is in the list of exactly the jobs that it was read for, or its list says so.

The path reaches a reader through a constant that its module computes, so that nothing but the reading itself tells it.
"""

from __future__ import annotations

import bz2
import csv
import functools
import gzip
import io
import json
import lzma
import os
import pickle
import shelve
import sqlite3
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tracking.projects import Project, Ran, project, save_checkpoint, save_torchscript, weights

NUMBERS = np.arange(12, dtype=np.float32).reshape(3, 4)


@dataclass(frozen=True)
class Reader:
    """A way to read a file.

    Attributes:
        name: Its name, which is that of its model, module and file as well.
        code: Reads the file at `PATH`.
        write: Writes the file.
        suffix: How the file's name ends.
        listed: Whether the file has to be in the list; otherwise the list may as well be told to be incomplete.
    """

    name: str
    code: str
    write: Callable[[Path], object] = lambda path: path.write_bytes(NUMBERS.tobytes())
    suffix: str = ".bin"
    listed: bool = True


def _text(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text)


def _arrays(**options: Any) -> Callable[[Path], object]:
    return lambda path: np.savez(path, numbers=NUMBERS, **options)


def _array(path: Path) -> None:
    np.save(path, NUMBERS)


def _packed(opener: Callable[[Path], bytes]) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(opener(path))


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inner.txt", "0.1")


def _tar(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        entry = tarfile.TarInfo("inner.txt")
        entry.size = 3
        archive.addfile(entry, io.BytesIO(b"0.1"))


def _matlab(path: Path) -> None:
    import scipy.io

    scipy.io.savemat(path, {"numbers": NUMBERS})


def _wave(path: Path) -> None:
    import scipy.io.wavfile

    scipy.io.wavfile.write(path, 8000, np.zeros(8, np.int16))


def _safetensors(path: Path) -> None:
    from safetensors.numpy import save_file

    save_file(weights(0.1), path)


def _image(path: Path) -> None:
    from PIL import Image

    Image.fromarray(np.full((4, 4, 3), 9, np.uint8)).save(path)


def _table(path: Path) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["a", "b"], [1, 2]])


def _database(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("create table numbers (value real)")
    connection.close()


def _shelf(path: Path) -> None:
    with shelve.open(str(path)) as shelf:  # noqa: S301 - its own file
        shelf["tilt"] = 0.1


def _checkpoint(path: Path) -> None:
    save_checkpoint(path, 0.1)


def _program(path: Path) -> None:
    save_torchscript(path, 0.1)


PLAIN = (
    Reader("open", "open(PATH).close(); open(PATH, 'rb').read()"),
    Reader("open_relative", "import os; open(os.path.relpath(PATH), 'rb').read()"),
    Reader("open_bytes_path", "import os; open(os.fsencode(PATH), 'rb').read()"),
    Reader("open_opener", "import os; open(PATH, 'rb', opener=os.open).read()"),
    Reader("read_bytes", "from pathlib import Path; Path(PATH).read_bytes()"),
    Reader("fileio", "import io; io.FileIO(PATH).readall()"),
    Reader("io_open", "import io; io.open(PATH, 'rb').read()"),
    Reader("codecs", "import codecs; codecs.open(PATH, encoding='utf-8').read()", _text("0.1\n"), ".txt"),
    Reader("os_open", "import os; f = os.open(PATH, os.O_RDONLY); os.read(f, 9); os.close(f)"),
    Reader(
        "os_open_at",
        "import os; d = os.open(os.path.dirname(PATH), os.O_RDONLY)\n"
        "f = os.open(os.path.basename(PATH), os.O_RDONLY, dir_fd=d); os.read(f, 9); os.close(f); os.close(d)",
    ),
    Reader("mmap", "import mmap\nwith open(PATH, 'rb') as f: mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)[:]"),
    Reader(
        "thread", "import threading; t = threading.Thread(target=lambda: open(PATH, 'rb').read()); t.start(); t.join()"
    ),
    Reader(
        "forked",
        "import os\npid = os.fork()\nif pid == 0:\n    open(PATH, 'rb').read()\n    os._exit(0)\nos.waitpid(pid, 0)",
        listed=False,
    ),
    Reader(
        "forked_pool",
        "import multiprocessing as m\nwith m.get_context('fork').Pool(1) as pool: pool.map(read_it, [PATH])",
        listed=False,
    ),
    Reader("hashlib", "import hashlib\nwith open(PATH, 'rb') as f: hashlib.file_digest(f, 'sha256')"),
    Reader("shutil", "import shutil, tempfile; shutil.copyfile(PATH, tempfile.mkdtemp() + '/copy')"),
    Reader("fileinput", "import fileinput; list(fileinput.input(PATH))", _text("0.1\n"), ".txt"),
    Reader("linecache", "import linecache; linecache.getlines(PATH)", _text("0.1\n"), ".txt"),
    Reader("json", "import json; json.load(open(PATH))", _text('{"tilt": 0.1}'), ".json"),
    Reader("yaml", "import yaml; yaml.safe_load(open(PATH))", _text("tilt: 0.1\n"), ".yaml"),
    Reader("tomllib", "import tomllib; tomllib.load(open(PATH, 'rb'))", _text("tilt = 0.1\n"), ".toml"),
    Reader(
        "configparser", "import configparser; configparser.ConfigParser().read(PATH)", _text("[a]\nb = 1\n"), ".ini"
    ),
    Reader("csv", "import csv; list(csv.reader(open(PATH)))", _table, ".csv"),
    Reader(
        "pickle", "import pickle; pickle.load(open(PATH, 'rb'))", lambda p: p.write_bytes(pickle.dumps([1])), ".pkl"
    ),
    Reader("gzip", "import gzip; gzip.open(PATH).read()", _packed(lambda _: gzip.compress(b"0.1")), ".gz"),
    Reader("bz2", "import bz2; bz2.open(PATH).read()", _packed(lambda _: bz2.compress(b"0.1")), ".bz2"),
    Reader("lzma", "import lzma; lzma.open(PATH).read()", _packed(lambda _: lzma.compress(b"0.1")), ".xz"),
    Reader("zipfile", "import zipfile; zipfile.ZipFile(PATH).read('inner.txt')", _zip, ".zip"),
    Reader("tarfile", "import tarfile; tarfile.open(PATH).extractfile('inner.txt').read()", _tar, ".tar"),
    Reader("xml", "import xml.etree.ElementTree as tree; tree.parse(PATH)", _text("<a><b>1</b></a>\n"), ".xml"),
    Reader("runpy", "import runpy; runpy.run_path(PATH)", _text("TILT = 0.1\n"), ".py"),
    Reader(
        "spec_from_file",
        "import importlib.util as u; s = u.spec_from_file_location('found_by_path', PATH)\n"
        "m = u.module_from_spec(s); s.loader.exec_module(m)",
        _text("TILT = 0.1\n"),
        ".py",
    ),
    Reader("urlopen", "import urllib.request; urllib.request.urlopen('file://' + PATH).read()"),
    Reader(
        "resources",
        "from importlib import resources; resources.files('files').joinpath(PATH.rpartition('/')[2]).read_bytes()",
    ),
    Reader("get_data", "import pkgutil; pkgutil.get_data('files', PATH.rpartition('/')[2])"),
)
"""Readers of the standard library."""

NUMERIC = (
    Reader("np_load_npz", "import numpy as np; np.load(PATH)['numbers']", _arrays(), ".npz"),
    Reader("np_load_npy", "import numpy as np; np.load(PATH)", _array, ".npy"),
    Reader("np_load_mapped", "import numpy as np; np.load(PATH, mmap_mode='r')[:]", _array, ".npy"),
    Reader("np_fromfile", "import numpy as np; np.fromfile(PATH, np.float32)"),
    Reader("np_loadtxt", "import numpy as np; np.loadtxt(PATH)", _text("1 2\n3 4\n"), ".txt"),
    Reader("np_genfromtxt", "import numpy as np; np.genfromtxt(PATH)", _text("1 2\n3 4\n"), ".txt"),
    Reader("np_memmap", "import numpy as np; np.memmap(PATH, np.float32, 'r')[:]"),
    Reader("pandas_c", "import pandas; pandas.read_csv(PATH, engine='c')", _table, ".csv"),
    Reader("pandas_mapped", "import pandas; pandas.read_csv(PATH, memory_map=True)", _table, ".csv"),
    Reader("pandas_python", "import pandas; pandas.read_csv(PATH, engine='python')", _table, ".csv"),
    Reader("pandas_json", "import pandas; pandas.read_json(PATH)", _text('{"a": [1, 2]}'), ".json"),
    Reader("loadmat", "import scipy.io; scipy.io.loadmat(PATH)", _matlab, ".mat"),
    Reader("wavfile", "import scipy.io.wavfile; scipy.io.wavfile.read(PATH)", _wave, ".wav"),
)
"""Readers of numpy, pandas and scipy."""

TORCH = (
    Reader("torch_load", "torch.load(PATH)", _checkpoint, ".pt"),
    Reader("torch_load_mapped", "torch.load(PATH, mmap=True)", _checkpoint, ".pt"),
    Reader("torch_load_file", "torch.load(open(PATH, 'rb'))", _checkpoint, ".pt"),
    Reader("jit_load", "torch.jit.load(PATH)", _program, ".pt"),
    Reader("from_file", "torch.from_file(PATH, size=12)[:].sum()"),
    Reader("untyped_storage", "torch.UntypedStorage.from_file(PATH, False, 48)"),
    Reader("file_reader", "torch._C.PyTorchFileReader(PATH)", _checkpoint, ".pt"),
    Reader("st_load_file", "from safetensors.torch import load_file; load_file(PATH)", _safetensors, ".safetensors"),
    Reader(
        "st_safe_open",
        "from safetensors import safe_open\nwith safe_open(PATH, 'pt') as f: f.get_tensor('bias')",
        _safetensors,
        ".safetensors",
    ),
    Reader("st_numpy", "from safetensors.numpy import load_file; load_file(PATH)", _safetensors, ".safetensors"),
    Reader("tv_read_image", "from torchvision.io import read_image; read_image(PATH)", _image, ".png"),
    Reader("tv_read_file", "from torchvision.io import read_file; read_file(PATH)"),
    Reader("tv_decode", "from torchvision.io import decode_image; decode_image(PATH)", _image, ".png"),
    Reader("pil", "from PIL import Image; Image.open(PATH).load()", _image, ".png"),
    Reader("pil_jpeg", "from PIL import Image; Image.open(PATH).convert('L')", _image, ".jpg"),
)
"""Readers of torch and what reads images."""

HIDDEN = (
    Reader(
        "sqlite",
        "import sqlite3; sqlite3.connect(PATH).execute('select * from numbers').fetchall()",
        _database,
        ".db",
        listed=False,
    ),
    Reader(
        "sqlite_uri",
        "import sqlite3; sqlite3.connect(f'file:{PATH}?mode=ro', uri=True).execute('select * from numbers').fetchall()",
        _database,
        ".db",
        listed=False,
    ),
    Reader("shelve", "import shelve; shelve.open(PATH, flag='r')['tilt']", _shelf, "", listed=False),
    Reader("dbm", "import dbm; dbm.open(PATH, 'r').keys()", _shelf, "", listed=False),
    Reader("cat", "import subprocess; subprocess.run(['cat', PATH], capture_output=True)", listed=False),
    Reader("system", "import os; os.system(f'cat {PATH} > /dev/null')", listed=False),
    Reader("popen", "import os; os.popen(f'cat {PATH} > /dev/null').close()", listed=False),
    Reader(
        "spawned",
        "import os; p = os.posix_spawn('/bin/cat', ['cat', PATH], os.environ); os.waitpid(p, 0)",
        listed=False,
    ),
    Reader(
        "fopen",
        "import ctypes\nc = ctypes.CDLL(None); c.fopen.restype = ctypes.c_void_p\nassert c.fopen(PATH.encode(), b'rb')",
        listed=False,
    ),
    Reader(
        "another_python",
        "import subprocess, sys; code = 'import sys; sys.stdin.buffer.read(); open(sys.argv[1], sys.argv[2]).read()'\n"
        "subprocess.run([sys.executable, '-c', code, PATH, 'rb'], stdin=subprocess.DEVNULL, check=True)",
        listed=False,
    ),
    Reader(
        "spawned_pool",
        "import multiprocessing as m\nwith m.get_context('spawn').Pool(1) as p: p.map(read_it, [PATH])",
        listed=False,
    ),
)
"""Readers that a list may not see; then it has to say so."""

GROUPS = {"plain": PLAIN, "numeric": NUMERIC, "torch": TORCH, "hidden": HIDDEN}
READERS = tuple(reader for there in GROUPS.values() for reader in there)
CHUNKS = {
    **{
        group: tuple(reader for reader in there if reader.listed)
        for group, there in GROUPS.items()
        if group != "hidden"
    },
    **{reader.name: (reader,) for reader in READERS if not reader.listed},
}
"""Readers that share a data function: those whose files have to be listed; each of the others has its own."""

MODULE = """
from pathlib import Path

import torch

PATH = str(Path(__file__).resolve().parents[1] / "files" / "-".join([{name!r}, "file"])) + {suffix!r}


def read_it(path):
    with open(path, "rb") as file:
        return len(file.read())


def read():
    {code}
"""
CHUNK = """
import torch

{imports}


def load():
    {calls}
    return torch.rand(20, 4, generator=torch.Generator().manual_seed(0)), torch.arange(20) % 2
"""


@dataclass(frozen=True)
class Reading:
    """A project whose data functions read files, and its first run."""

    project: Project
    first: Ran
    chunks: Mapping[str, tuple[Reader, ...]]

    @functools.cached_property
    def used(self) -> dict[str, set[Path]]:
        """The files in the lists of the run's jobs."""
        return self.project.used()

    @functools.cached_property
    def untracked(self) -> dict[str, list[str]]:
        """Why lists of the run are incomplete."""
        return self.project.untracked()

    def file(self, reader: Reader) -> Path:
        """The file that a reader reads, as it is found in the folder."""
        found = sorted(self.project.folder.glob(f"files/{reader.name}-file*"))
        return next(path for path in found if path.suffix in (reader.suffix, ".dat"))

    def job(self, reader: Reader) -> str:
        """The job that a reader has a part in."""
        return next(f"data/{name}" for name, readers in self.chunks.items() if reader in readers)


def reading(
    chunks: Mapping[str, tuple[Reader, ...]],
    folder: Path,
    before: Callable[[Path], object] = lambda _: None,
    **more: Any,
) -> Reading:
    """A project with a data function for each of some chunks of readers, run once.

    Args:
        chunks: The readers of each data set.
        folder: Where to make it.
        before: Writes files of its own into the folder of files.
        **more: Further attributes of the project.
    """
    (folder / "files").mkdir(parents=True)
    files = {"files/__init__.py": "", "readers/__init__.py": ""}
    for name, readers in chunks.items():
        for reader in readers:
            files[f"readers/{reader.name}.py"] = MODULE.format(
                name=reader.name, suffix=reader.suffix, code=reader.code.replace("\n", "\n    ")
            )
            reader.write(folder / "files" / f"{reader.name}-file{reader.suffix}")
        files[f"readers/all_{name}.py"] = CHUNK.format(
            imports="\n".join(f"import readers.{reader.name}" for reader in readers),
            calls="\n    ".join(f"readers.{reader.name}.read()" for reader in readers),
        )
    before(folder / "files")
    data = {name: {"source": f"readers.all_{name}:load"} for name in chunks}
    models = {"nobody": {"kind": "generator", "samples": "points.npz"}}  # a suite has some
    made = project(folder, json.dumps({"suite": "readers", "data": data, "models": models}), files, **more)
    return Reading(made, made.run(), chunks)


@pytest.fixture(scope="module")
def all_readers(tmp_path_factory: pytest.TempPathFactory) -> Reading:
    """All readers in one project."""
    return reading(CHUNKS, tmp_path_factory.mktemp("readers") / "project")


def test_the_readers_work(all_readers: Reading) -> None:
    assert all_readers.first.code == 0, all_readers.first.output
    assert all_readers.first.done == {f"data/{name}" for name in CHUNKS}


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_the_file_is_in_the_list_of_its_job(reader: Reader, all_readers: Reading) -> None:
    """And in no other's."""
    job, file, used = all_readers.job(reader), all_readers.file(reader), all_readers.used
    assert job in all_readers.first.done, all_readers.first.output
    if reader.listed:
        assert file in used[job], sorted(map(str, used[job]))
        assert not all_readers.untracked.get(job)
    else:
        assert file in used.get(job, ()) or all_readers.untracked.get(job), f"{job} read {file}, which nothing says"
    others = {other for other, files in used.items() if file in files} - {job}
    assert not others, f"{file} was not read for these"


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_a_changed_file_costs_its_job(reader: Reader, all_readers: Reading) -> None:
    """And none of those whose lists are complete."""
    job, path = all_readers.job(reader), all_readers.file(reader)
    assert job in all_readers.first.done, all_readers.first.output
    content = path.read_bytes()
    try:
        path.write_bytes(content + (b"\nADDED = 1\n" if path.suffix == ".py" else b"0"))
        planned = all_readers.project.plan()
    finally:
        path.write_bytes(content)
    assert job in planned.to_do, planned.output
    assert set(planned.to_do) <= {job, *all_readers.untracked}, planned.output


def test_what_cannot_be_tracked_is_trusted_on_demand(all_readers: Reading) -> None:
    assert all_readers.first.code == 0, all_readers.first.output
    usual = all_readers.project.plan()
    assert set(usual.to_do) == set(all_readers.untracked), usual.output
    assert not all_readers.project.plan("--trust").to_do


OPTIONAL = (
    Reader("h5py", "import h5py; h5py.File(PATH, 'r')['numbers'][:]", suffix=".h5", listed=False),
    Reader("opencv", "import cv2; assert cv2.imread(PATH) is not None", _image, ".png", listed=False),
    Reader("pyarrow", "import pyarrow.parquet as q; q.read_table(PATH)", suffix=".parquet", listed=False),
    Reader("pyarrow_mapped", "import pyarrow as a; a.memory_map(PATH, 'r').read()", listed=False),
    Reader("onnx", "import onnx; onnx.load(PATH)", suffix=".onnx", listed=False),
)
"""Readers of packages that bench does not need."""
PACKAGES = ("h5py", "opencv-python-headless", "pyarrow", "onnx")
WRITING = """
import sys
import h5py, numpy as np, onnx, pyarrow, pyarrow.parquet
from onnx import helper
folder = sys.argv[1]
h5py.File(folder + "/h5py-file.h5", "w")["numbers"] = np.ones(3)
pyarrow.parquet.write_table(pyarrow.table({"a": [1, 2]}), folder + "/pyarrow-file.parquet")
onnx.save(helper.make_model(helper.make_graph([], "empty", [], [])), folder + "/onnx-file.onnx")
"""


@pytest.mark.skipif(os.environ.get("BENCH_TESTS_PACKAGES") != "1", reason="BENCH_TESTS_PACKAGES=1 downloads packages")
def test_readers_of_other_packages(tmp_path: Path) -> None:
    """Those in C and C++ that ask no hook of Python."""
    site, folder = tmp_path / "site", tmp_path / "project"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), *PACKAGES]
    command += ["protobuf", "ml_dtypes", "typing_extensions"]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("no package index can be reached")

    def write(files: Path) -> None:
        environment = {**os.environ, "PYTHONPATH": str(site)}
        subprocess.run([sys.executable, "-c", WRITING, str(files)], env=environment, check=True)

    chunks = {reader.name: (reader,) for reader in OPTIONAL}
    found = reading(chunks, folder, write, path=(site,), apart=True)
    assert found.first.code == 0, found.first.output
    for reader in OPTIONAL:
        job, file = found.job(reader), found.file(reader)
        assert file in found.used.get(job, ()) or found.untracked.get(job), f"nothing says that {file} was read"
