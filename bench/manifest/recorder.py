"""Watching what a component does: files, folders, environment variables, and what cannot be watched.

Python's audit events tell of most of it; readers that raise no event are wrapped (`bench.manifest.readers`). An event
belongs to the component whose code is running, unless an installed package is being imported, whose files are those of
its distribution. Children that are forked, such as the workers of a data loader, report through a shared file.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import json
import os
import stat
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import IO, Any

from bench.manifest import roots
from bench.manifest.distributions import installed_root
from bench.manifest.entries import ALL_VARIABLES, OF_BENCH

Status = tuple[int, int, int, int, int]
_READING = {"open", "os.listdir", "os.scandir", "os.rename", "os.remove", "os.mkdir", "os.link", "os.symlink"}
_STARTING = {
    "subprocess.Popen": "starts a process",
    "os.system": "starts a process",
    "os.exec": "starts a process",
    "os.posix_spawn": "starts a process",
    "os.spawn": "starts a process",
    "pty.spawn": "starts a process",
    "socket.connect": "opens a connection",
    "socket.getaddrinfo": "opens a connection",
    "socket.gethostbyname": "opens a connection",
    "socket.sendto": "opens a connection",
    "sqlite3.connect": "reads a database",
    "ctypes.dlopen": "calls compiled code through ctypes",
}
"""Audit events after which nobody knows what was read."""
_MACHINERY = ("<frozen importlib", "importlib/_bootstrap")
_SILENT = (
    "/multiprocessing/resource_sharer.py", "/multiprocessing/reduction.py", "/multiprocessing/resource_tracker.py",
    "/torch/_inductor/", "/torch/_dynamo/", "/torch/_functorch/", "/triton/",
)  # fmt: skip
"""Library code that starts processes, opens connections and writes caches of its own, which change no result."""
_SOURCES = ("/linecache.py", "/inspect.py", "/tokenize.py", "/traceback.py")
"""Library code that opens a module's source to show it."""
_ABOUT_PATHS = (
    "/genericpath.py",
    "/posixpath.py",
    "/pathlib.py",
    "/pathlib/__init__.py",
    "/os.py",
)
_PRESENCE = {
    "exists", "lexists", "isfile", "isdir", "islink", "ismount", "is_file", "is_dir", "is_symlink", "is_mount",
    "samefile", "resolve", "realpath", "_joinrealpath",
}  # fmt: skip
"""Functions of the library that look at a path and tell only whether it is there, and of what kind."""
_NEVER = ("/proc/", "/sys/", "/dev/")
_PLACES = {"HOME", "TMPDIR", "TEMP", "TMP", "PWD", "TERM", "COLUMNS", "LINES", "USERPROFILE"}
"""Variables that libraries read to find folders and terminals; they count where a user's code reads them itself."""


def status_of(found: os.stat_result) -> Status:
    """What tells whether a file has changed."""
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


@dataclass
class Observed:
    """What one component was seen to do.

    Attributes:
        files: Files that were opened for reading, with their status when first opened.
        sources: Files of source that were imported, or opened to be shown.
        code: Files of bytecode that were imported without a source.
        written: Files that were opened for writing, with their status before; None where there was none.
        made: Paths that were made.
        absent: Paths that were looked for and not found.
        present: Paths that were looked at.
        measured: Paths whose size and time were asked for, with their status.
        listed: Folders that were listed, with the digest of their names when first listed.
        links: Links whose target was asked for, with the target.
        variables: Environment variables that were read, with the values they had.
        modules: Names that were imported by calls.
        untracked: What was done that cannot be watched.
    """

    files: dict[str, Status] = field(default_factory=dict)
    sources: set[str] = field(default_factory=set)
    code: set[str] = field(default_factory=set)
    written: dict[str, Status | None] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)
    absent: set[str] = field(default_factory=set)
    present: set[str] = field(default_factory=set)
    measured: dict[str, Status] = field(default_factory=dict)
    listed: dict[str, int] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str | None] = field(default_factory=dict)
    modules: set[str] = field(default_factory=set)
    untracked: set[str] = field(default_factory=set)


class Recorder:
    """Takes note of what components do, in this process and in children that it forks.

    Attributes:
        observed: What was seen, by component.
        hidden: Folders that never count: the store, the run folder.
        calls: The component that a job's calls of its model belong to.
    """

    def __init__(self) -> None:
        self.observed: dict[str, Observed] = {}
        self.hidden: tuple[str, ...] = ()
        self.calls = ""
        self._labels: list[str] = []
        self._set_here: set[str] = set()
        self._default = ""
        self._installed = False
        self._quiet = threading.local()
        self._process = os.getpid()
        self._children: IO[bytes] | None = None
        self._kinds: dict[str, str] = {}

    def install(self) -> None:
        """Begin to watch this process; nothing is noted before a component runs. Cannot be undone."""
        if self._installed:
            return
        self._installed = True
        self._process = os.getpid()
        self._children = tempfile.TemporaryFile("a+b", buffering=0)  # noqa: SIM115 - open as long as the process
        sys.addaudithook(self._event)
        _watch_environment(self)
        _watch_status(self)
        _watch_processes(self)
        _read_sources(self)
        sys.meta_path.append(_Missing(self))
        from bench.manifest.readers import watch_readers

        watch_readers(self)

    def begin(self, observed: dict[str, Observed], hidden: Iterable[str], set_here: set[str] | None = None) -> None:
        """Add to an account of what components did.

        Args:
            observed: The account, by component.
            hidden: Folders that never count.
            set_here: Environment variables that the components have set or removed themselves.
        """
        self.observed, self.hidden = observed, tuple(hidden)
        self._set_here = set() if set_here is None else set_here

    @property
    def active(self) -> bool:
        """Whether a component is running, and this is not the recorder's own work."""
        return bool(self._labels or self._default) and not getattr(self._quiet, "on", False)

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Note nothing in the block."""
        before = getattr(self._quiet, "on", False)
        self._quiet.on = True
        try:
            yield
        finally:
            self._quiet.on = before

    @contextmanager
    def component(self, label: str) -> Iterator[None]:
        """Note what happens in the block as done by a component. An empty label leaves things as they are."""
        if not label:
            yield
            return
        self._labels.append(label)
        try:
            yield
        finally:
            self._labels.pop()

    @contextmanager
    def job(self, label: str) -> Iterator[None]:
        """Note what a user's code does in the block, wherever no component was named, as done by this one."""
        before, self._default = self._default, label
        try:
            yield
        finally:
            self._default = before

    def of(self, label: str) -> Observed:
        """What a component was seen to do."""
        return self.observed.setdefault(label, Observed())

    def collect(self) -> None:
        """Take in what forked children reported."""
        if self._children is None:
            return
        with self.quiet():
            self._children.seek(0)
            lines = self._children.read().splitlines()
            self._children.truncate(0)
        for line in lines:
            with suppress(ValueError, TypeError, KeyError):
                label, what, name, value = json.loads(line)
                self._keep(label, what, name, tuple(value) if isinstance(value, list) else value)

    # --- what happens -------------------------------------------------------------------------------------------

    def _event(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not (self._labels or self._default):
            return
        if event not in _READING and event not in _STARTING:
            return
        if getattr(self._quiet, "on", False):
            return
        self._quiet.on = True
        try:
            frame = sys._getframe(1)
            if event in _STARTING:
                self._starts(event, arguments, frame)
            else:
                self._reads(event, arguments, frame)
        except Exception:  # noqa: S110 - a hook that raises would stop a user's code
            pass
        finally:
            self._quiet.on = False

    def _starts(self, event: str, arguments: tuple[Any, ...], frame: FrameType | None) -> None:
        label = self._owner(frame)
        if label is None or _passes_through(frame, _SILENT):
            return
        what = _STARTING[event]
        if event == "subprocess.Popen" or (
            event in ("ctypes.dlopen", "sqlite3.connect") and arguments and arguments[0]
        ):
            what += f" ({os.path.basename(str(arguments[0]))})"
        self._note(label, "untracked", what, None)

    def _reads(self, event: str, arguments: tuple[Any, ...], frame: FrameType | None) -> None:
        if event == "open" and isinstance(arguments[0], int):
            return
        if event == "open" and _is_import(frame):
            self._imports(_absolute(arguments[0]))
            return
        label = self._owner(frame)
        if label is None:
            return
        path = _absolute(arguments[0])
        if event == "os.rename" or event in ("os.link", "os.symlink"):
            self._makes(label, _absolute(arguments[1]))
        elif event == "os.mkdir":
            self._makes(label, path)
        elif path is None or self._leaves_out(path):
            return
        elif event == "open":
            self._opens(label, path, arguments[2], shown=self._is_shown(frame))
        elif event in ("os.listdir", "os.scandir"):
            self._lists(label, path)

    def _imports(self, path: str | None) -> None:
        """Python reads the code of a module; where it is a user's, it counts as its source."""
        label = self._labels[-1] if self._labels else self._default
        source = "" if path is None else _source_of(path)
        if source and self._kind(source) == "user":
            self._note(label, "sources" if source.endswith(".py") else "code", source, None)

    def _is_shown(self, frame: FrameType | None) -> bool:
        """Whether a module's source is opened to be shown, in a warning or to be compiled, and not for its text."""
        if not _passes_through(frame, _SOURCES, depth=3):
            return False
        while frame is not None and self._kind(frame.f_code.co_filename) == "python":
            frame = frame.f_back
        return frame is None or self._kind(frame.f_code.co_filename) != "user"

    def opened(self, given: Any, flags: int = os.O_RDONLY) -> None:
        """A reader that raises no event is about to open a file."""
        if not self.active:
            return
        with self.quiet(), suppress(OSError, ValueError, TypeError):
            label, path = self._owner(sys._getframe(2)), _absolute(given)
            if label is not None and path is not None and not self._leaves_out(path):
                self._opens(label, path, flags, shown=False)

    def _opens(self, label: str, path: str, flags: int, *, shown: bool) -> None:
        writes = bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND))
        if flags & getattr(os, "O_TMPFILE", 0) == getattr(os, "O_TMPFILE", -1):
            return
        try:
            found = _stat(path)
        except OSError:
            self._note(label, "made" if writes and flags & os.O_CREAT else "absent", path, None)
            return
        if stat.S_ISDIR(found.st_mode):
            return
        if not stat.S_ISREG(found.st_mode):
            self._note(label, "untracked", f"reads from {path}, which is no regular file", None)
            return
        if flags & os.O_TRUNC and path not in self.of(label).files:
            self._note(label, "made", path, None)  # nothing of what was there before is ever read
        elif writes:
            self._note(label, "written", path, status_of(found))
        if not flags & os.O_WRONLY and not flags & os.O_TRUNC:
            source = _source_of(path)
            if shown and source.endswith(".py"):
                self._note(label, "sources", source, None)
            elif source == path:
                self._note(label, "files", path, status_of(found))

    def _lists(self, label: str, path: str) -> None:
        try:
            found = _stat(path)
        except OSError:
            self._note(label, "absent", path, None)
            return
        self._note(label, "listed", path, found.st_mtime_ns)

    def _makes(self, label: str, path: str | None) -> None:
        if path is None:
            return
        try:
            found = status_of(_stat(path))
        except OSError:
            self._note(label, "made", path, None)
        else:
            self._note(label, "written", path, found)

    def looked(self, given: Any, *, found: Any) -> None:
        """Somebody asked for the status of a path.

        Args:
            given: The path.
            found: Its status; True or False where it was only asked whether it is there.
        """
        if not self.active:
            return
        with self.quiet(), suppress(OSError, ValueError, TypeError):
            frame = sys._getframe(2)
            label, path = self._owner(frame), _absolute(given)
            if label is None or path is None or self._leaves_out(path):
                return
            self._note(label, "present" if found else "absent", path, None)
            if isinstance(found, os.stat_result) and stat.S_ISREG(found.st_mode) and self._wants_status(frame):
                self._note(label, "measured", path, status_of(found))

    def followed(self, given: Any, target: Any) -> None:
        """Somebody asked where a link leads."""
        if not self.active:
            return
        with self.quiet(), suppress(OSError, ValueError, TypeError):
            label = self._owner(sys._getframe(2))
            path = os.path.abspath(os.fsdecode(given))
            if label is not None and not self._leaves_out(path):
                self._note(label, "links", path, os.fsdecode(target))

    def _wants_status(self, frame: FrameType | None) -> bool:
        """Whether a user's code asked for a status itself, and not only whether a path is there."""
        while frame is not None and frame.f_code.co_filename.endswith(_ABOUT_PATHS):
            if frame.f_code.co_name in _PRESENCE:
                return False
            frame = frame.f_back
        return frame is not None and self._kind(frame.f_code.co_filename) == "user"

    def read_variable(self, name: str, value: str | None) -> None:
        """An environment variable was read."""
        if not self.active:
            return
        with self.quiet():
            frame = sys._getframe(2)
            label = self._owner(frame)
            if (
                label is None
                or name in self._set_here
                or name in OF_BENCH
                or (name in _PLACES and not self._asked_by_user(frame))
            ):
                return
            self._note(label, "variables", name, value)

    def set_variable(self, name: str) -> None:
        """A component set an environment variable: what is read of it from now on is its own."""
        if self.active:
            self._set_here.add(name)

    def read_all_variables(self) -> None:
        """All environment variables were asked for at once."""
        if not self.active:
            return
        with self.quiet():
            frame = sys._getframe(2)
            label = self._owner(frame)
            if label is not None and not _passes_through(frame, ("/subprocess.py", *_SILENT)):
                self._note(label, "variables", ALL_VARIABLES, None)

    def imported(self, name: str) -> None:
        """A module was imported, or looked for, by a call."""
        if not self.active:
            return
        with self.quiet():
            label = self._owner(sys._getframe(2))
            if label is not None and self._asked_by_user(sys._getframe(2)):
                self._note(label, "modules", name, None)

    def not_found(self, name: str) -> None:
        """An import found no module of a name."""
        if not self.active:
            return
        with self.quiet():
            frame: FrameType | None = sys._getframe(2)
            while frame is not None and self._kind(frame.f_code.co_filename) == "python":
                frame = frame.f_back
            label = self._labels[-1] if self._labels else self._default
            if label and frame is not None and self._kind(frame.f_code.co_filename) == "user":
                self._note(label, "modules", name, None)

    def started(self, what: str) -> None:
        """Something was started that cannot be watched, and of which Python raises no event."""
        if not self.active:
            return
        with self.quiet():
            frame = sys._getframe(2)
            label = self._owner(frame)
            if label is not None and not _passes_through(frame, _SILENT):
                self._note(label, "untracked", what, None)

    # --- whose it is --------------------------------------------------------------------------------------------

    def _owner(self, frame: FrameType | None) -> str | None:
        """The component that an event belongs to; None where an installed package is being imported, or for bench."""
        explicit = self._labels[-1] if self._labels else ""
        while frame is not None:
            code = frame.f_code
            file = code.co_filename
            if file.startswith(_MACHINERY):
                if code.co_name in ("get_code", "find_spec", "_find_spec", "_fill_cache"):
                    return None
            else:
                kind = self._kind(file)
                if kind == "user":
                    return explicit or self._default
                if code.co_name == "<module>" and kind in ("installed", "python"):
                    return None
                if kind == "bench" and not explicit:
                    return None
            frame = frame.f_back
        return explicit or None

    def _asked_by_user(self, frame: FrameType | None) -> bool:
        """Whether a user's code itself called what raised an event, not a library for it."""
        while frame is not None and self._kind(frame.f_code.co_filename) == "python":
            if not frame.f_code.co_filename.endswith(("/os.py", "_collections_abc.py", "importlib/__init__.py")):
                return False
            frame = frame.f_back
        return frame is not None and self._kind(frame.f_code.co_filename) == "user"

    def _kind(self, file: str) -> str:
        kind = self._kinds.get(file)
        if kind is None:
            if file.startswith("<") or roots.of_python(file):
                kind = "python"
            elif roots.below(file, (roots.BENCH,)):
                kind = "bench"
            else:
                kind = "installed" if installed_root(file) is not None else "user"
            self._kinds[file] = kind
        return kind

    def _leaves_out(self, path: str) -> bool:
        """Whether a path never counts: bench's own, the store, the system's own files, what belongs to a package."""
        if (path.startswith(_NEVER) and not _is_shared_memory(path)) or roots.below(path, (roots.BENCH, *self.hidden)):
            return True
        if roots.of_python(path) or "/torchinductor_" in path:
            return True
        root = installed_root(path)
        return root is not None and _claimed(path)

    # --- keeping it ---------------------------------------------------------------------------------------------

    def _note(self, label: str, what: str, name: str, value: Any) -> None:
        if os.getpid() != self._process:
            line = json.dumps([label, what, name, value]).encode() + b"\n"
            if self._children is not None:
                os.write(self._children.fileno(), line)
            return
        self._keep(label, what, name, value)

    def _keep(self, label: str, what: str, name: str, value: Any) -> None:
        kept = getattr(self.of(label), what)
        if isinstance(kept, set):
            kept.add(name)
        else:
            kept.setdefault(name, value)


RECORDER = Recorder()
"""The recorder of this process."""

_stat = os.stat


def _is_shared_memory(path: str) -> bool:
    """Whether a path is a file of a user's in shared memory, and none that torch or multiprocessing keep there."""
    return path.startswith("/dev/shm/") and not path.startswith(("/dev/shm/torch_", "/dev/shm/sem.", "/dev/shm/psm_"))  # noqa: S108


def _absolute(given: Any) -> str | None:
    """An absolute path as text; None where it is none."""
    if given is None:
        return os.getcwd()
    if isinstance(given, int):
        with suppress(OSError):
            return os.readlink(f"/proc/self/fd/{given}")
        return None
    path = os.fsdecode(given)
    absolute = path if os.path.isabs(path) else os.path.join(os.getcwd(), path)
    # ".." after a link leads elsewhere than the text says
    return os.path.realpath(absolute) if "/../" in absolute or absolute.endswith("/..") else os.path.normpath(absolute)


def _is_import(frame: FrameType | None) -> bool:
    """Whether Python's import reads the code of a module."""
    while frame is not None and frame.f_code.co_filename.startswith(_MACHINERY):
        if frame.f_code.co_name == "get_code":
            return True
        frame = frame.f_back
    return False


def _source_of(path: str) -> str:
    """The source that bytecode in a cache was made from; any other path as it is."""
    folder, name = os.path.split(path)
    if os.path.basename(folder) != "__pycache__" or not name.endswith(".pyc"):
        return path
    return os.path.join(os.path.dirname(folder), name.split(".")[0] + ".py")


def _claimed(path: str) -> bool:
    """Whether an installed package that is not listed file by file claims a path."""
    from bench.manifest.modules import owner_of

    return owner_of(path)[0] == "distribution"


def _passes_through(frame: FrameType | None, places: tuple[str, ...], depth: int = 200) -> bool:
    """Whether the code of some files is on the stack, in the innermost `depth` frames."""
    while frame is not None and depth:
        if any(place in frame.f_code.co_filename for place in places):
            return True
        frame, depth = frame.f_back, depth - 1
    return False


def _there(path: Any) -> bool:
    """Whether a path is there; not noted."""
    try:
        _stat(path)
    except OSError:
        return False
    return True


class _Missing(importlib.abc.MetaPathFinder):
    """The last finder to be asked: what it is asked for, nobody has found."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> None:  # noqa: ARG002 - as finders have it
        """Note the name; find nothing."""
        self._recorder.not_found(fullname)


def _read_sources(recorder: Recorder) -> None:
    """Let modules of users be compiled from their sources.

    Bytecode counts as current where size and time of its source, in whole seconds, are equal: an edit within a second
    of the last import would run the old code, under the digest of the new one.
    """
    loader = importlib.machinery.SourceFileLoader
    stats = loader.path_stats

    def path_stats(self: Any, path: str) -> Any:
        if (recorder._labels or recorder._default) and recorder._kind(os.path.abspath(path)) == "user":
            raise OSError("bytecode of users' modules is not used")
        return stats(self, path)

    loader.path_stats = path_stats  # type: ignore[method-assign]


def _watch_environment(recorder: Recorder) -> None:
    kind: Any = type(os.environ)
    get, iterate, put = kind.__getitem__, kind.__iter__, kind.__setitem__
    remove = kind.__delitem__

    def __getitem__(self: Any, key: Any) -> Any:  # noqa: N807
        try:
            value = get(self, key)
        except KeyError:
            if isinstance(key, str | bytes):
                recorder.read_variable(os.fsdecode(key), None)
            raise
        recorder.read_variable(os.fsdecode(key), os.fsdecode(value))
        return value

    def __iter__(self: Any) -> Any:  # noqa: N807
        recorder.read_all_variables()
        return iterate(self)

    def __setitem__(self: Any, key: Any, value: Any) -> None:  # noqa: N807
        recorder.set_variable(os.fsdecode(key) if isinstance(key, str | bytes) else "")
        put(self, key, value)

    def __delitem__(self: Any, key: Any) -> None:  # noqa: N807
        recorder.set_variable(os.fsdecode(key) if isinstance(key, str | bytes) else "")
        remove(self, key)

    kind.__getitem__, kind.__iter__ = __getitem__, __iter__
    kind.__setitem__, kind.__delitem__ = __setitem__, __delitem__


def _watch_status(recorder: Recorder) -> None:
    def watched(function: Callable[..., Any]) -> Callable[..., Any]:
        def look(path: Any, *args: Any, **kwargs: Any) -> Any:
            if not (recorder._labels or recorder._default) or isinstance(path, int) or kwargs.get("dir_fd") is not None:
                return function(path, *args, **kwargs)
            try:
                result = function(path, *args, **kwargs)
            except FileNotFoundError:
                recorder.looked(path, found=False)
                raise
            except NotADirectoryError:
                recorder.looked(path, found=False)
                raise
            recorder.looked(path, found=_there(path) if isinstance(result, bool) else result)
            return result

        # by its name in `os`, where the wrapper is, it can be pickled
        look.__name__ = look.__qualname__ = function.__name__
        look.__doc__, look.__module__ = function.__doc__, "os"
        return look

    start = os.open

    def open_at(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if dir_fd is None:
            return start(path, flags, mode)
        if recorder.active:  # the audit event does not say which folder the path begins at
            folder = _absolute(dir_fd)
            recorder.opened(os.path.join(folder, os.fsdecode(path)) if folder else path, flags)
        with recorder.quiet():
            return start(path, flags, mode, dir_fd=dir_fd)

    read = os.readlink

    def readlink(path: Any, *, dir_fd: int | None = None) -> Any:
        target = read(path, dir_fd=dir_fd)
        if dir_fd is None:
            recorder.followed(path, target)
        return target

    for wrapper, name in ((open_at, "open"), (readlink, "readlink")):
        wrapper.__name__ = wrapper.__qualname__ = name
        wrapper.__module__ = "os"
    before = {name: getattr(os, name) for name in ("open", "stat", "lstat", "access", "readlink")}
    os.open, os.readlink = open_at, readlink
    os.stat, os.lstat, os.access = watched(os.stat), watched(os.lstat), watched(os.access)
    for supported in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks, os.supports_effective_ids):
        supported |= {getattr(os, name) for name, function in before.items() if function in supported}


def _watch_processes(recorder: Recorder) -> None:
    import _posixsubprocess
    import importlib
    import importlib.util

    start = _posixsubprocess.fork_exec

    def fork_exec(*args: Any, **kwargs: Any) -> Any:
        recorder.started("starts a process")
        return start(*args, **kwargs)

    _posixsubprocess.fork_exec = fork_exec
    load, find = importlib.import_module, importlib.util.find_spec

    def import_module(name: str, package: str | None = None) -> Any:
        with suppress(ImportError, ValueError, TypeError):
            recorder.imported(importlib.util.resolve_name(name, package) if name.startswith(".") else name)
        return load(name, package)

    def find_spec(name: str, package: str | None = None) -> Any:
        with suppress(ImportError, ValueError, TypeError):
            recorder.imported(importlib.util.resolve_name(name, package) if name.startswith(".") else name)
        return find(name, package)

    importlib.import_module, importlib.util.find_spec = import_module, find_spec
