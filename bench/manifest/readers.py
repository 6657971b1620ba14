"""Readers that open files without an audit event: their entry points say which file they open.

A reader is wrapped when its module is imported, or at once where it is there already.
"""

from __future__ import annotations

import functools
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Sequence
from types import BuiltinMethodType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.manifest.recorder import Recorder

READERS: dict[str, tuple[str, ...]] = {
    "safetensors": ("safe_open",),
    "safetensors.torch": ("safe_open", "load_file", "load_model"),
    "safetensors.numpy": ("safe_open", "load_file"),
    "safetensors.flax": ("safe_open", "load_file"),
    "torch": (
        "from_file",
        "UntypedStorage.from_file",
        "ops.load_library",
        "classes.load_library",
        "_C.PyTorchFileReader",
    ),
    "torch.jit": ("load", "jit_module_from_flatbuffer"),
    "torchvision.io": ("read_file", "read_image", "decode_image", "read_video", "read_video_timestamps", "VideoReader"),
    "torchvision.io.image": ("read_file", "read_image", "decode_image"),
    "torchaudio": ("load", "info"),
    "h5py": ("File", "is_hdf5"),
    "cv2": ("imread", "imreadmulti", "VideoCapture", "FileStorage"),
    "pyarrow": ("memory_map", "OSFile"),
    "pyarrow.parquet": ("read_table", "ParquetFile", "ParquetDataset", "read_metadata", "read_schema"),
    "pyarrow.feather": ("read_table", "read_feather"),
    "pyarrow.csv": ("read_csv", "open_csv"),
    "pyarrow.json": ("read_json",),
    "pyarrow.dataset": ("dataset",),
    "onnxruntime": ("InferenceSession",),
    "sentencepiece": ("SentencePieceProcessor.Load", "SentencePieceProcessor.load", "SentencePieceProcessor.Init"),
    "tokenizers": ("Tokenizer.from_file",),
    "lmdb": ("open", "Environment"),
    "dbm.gnu": ("open",),
    "_gdbm": ("open",),
    "dbm.ndbm": ("open",),
    "_dbm": ("open",),
}
"""Callables by module; the first argument of each, or the one called `filename`, `path` or alike, is the file."""
_NAMES = ("filename", "path", "path_or_bytes", "name", "f", "file", "source", "uri", "model_file", "where", "fname")


def watch_readers(recorder: Recorder) -> None:
    """Wrap the readers that are there, and those that will be imported."""
    for name in READERS:
        module = sys.modules.get(name)
        if module is not None:
            wrap(module, recorder)
    sys.meta_path.insert(0, _OnImport(recorder))


def wrap(module: ModuleType, recorder: Recorder) -> None:
    """Wrap the readers of one module."""
    for path in READERS[module.__name__]:
        *owners, name = path.split(".")
        place: Any = module
        for owner in owners:
            place = getattr(place, owner, None)
        function = getattr(place, name, None)
        if function is None or getattr(function, "tells_bench", False):
            continue
        try:
            setattr(place, name, _telling(function, place, recorder))
        except (AttributeError, TypeError):  # a type in C that takes no attributes
            continue


def _telling(function: Callable[..., Any], place: Any, recorder: Recorder) -> Any:
    """A reader that says which file it opens."""

    def tell(args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        for value in [*args[:2], *(kwargs[name] for name in _NAMES if name in kwargs)]:
            if isinstance(value, str | bytes) or hasattr(value, "__fspath__"):
                recorder.opened(value)
                return

    if isinstance(function, type):
        own = function.__dict__.get("__init__")
        if isinstance(own, FunctionType):  # a class in Python stays the class it is

            @functools.wraps(own)
            def begin(self: Any, *args: Any, **kwargs: Any) -> None:
                tell(args, kwargs)
                own(self, *args, **kwargs)

            function.__init__ = begin  # type: ignore[misc]
            function.tells_bench = True  # type: ignore[attr-defined]
            return function

        return _proxy(function, tell)

    @functools.wraps(function)
    def told(*args: Any, **kwargs: Any) -> Any:
        tell(args, kwargs)
        return function(*args, **kwargs)

    told.tells_bench = True  # type: ignore[attr-defined]
    bound = isinstance(function, MethodType | BuiltinMethodType) and isinstance(place, type)
    return staticmethod(told) if bound else told


def _proxy(original: type, tell: Callable[[Sequence[Any], dict[str, Any]], None]) -> type:
    """A stand-in for a class in C that says which file an object is made of, and is taken for the class in checks."""

    class Kind(type):
        tells_bench = True

        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            tell(args, kwargs)
            return original(*args, **kwargs)

        def __instancecheck__(cls, instance: Any) -> bool:
            return isinstance(instance, original)

        def __subclasscheck__(cls, subclass: type) -> bool:
            return issubclass(subclass, original)

        def __getattr__(cls, name: str) -> Any:
            return getattr(original, name)

    return Kind(original.__name__, (), {"__doc__": original.__doc__, "__module__": original.__module__})


class _OnImport(importlib.abc.MetaPathFinder):
    """Finds modules with readers as others do, and wraps them once they are there."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._busy: set[str] = set()

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002 - the signature of finders
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> importlib.machinery.ModuleSpec | None:
        """The spec of a module with readers; None for any other."""
        if fullname not in READERS or fullname in self._busy:
            return None
        self._busy.add(fullname)
        try:
            with self._recorder.quiet():
                spec = importlib.util.find_spec(fullname)
        finally:
            self._busy.discard(fullname)
        if spec is None or spec.loader is None:
            return None
        spec.loader = _Loader(spec.loader, self._recorder)
        return spec


class _Loader(importlib.abc.Loader):
    """Loads a module as its own loader does, then wraps its readers."""

    def __init__(self, loader: Any, recorder: Recorder) -> None:
        self._loader, self._recorder = loader, recorder

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        """As the module's own loader does."""
        return self._loader.create_module(spec)  # type: ignore[no-any-return]

    def exec_module(self, module: ModuleType) -> None:
        """Run the module, then wrap its readers."""
        self._loader.exec_module(module)
        wrap(module, self._recorder)

    def __getattr__(self, name: str) -> Any:
        """Whatever else the module's own loader can do."""
        return getattr(self._loader, name)
