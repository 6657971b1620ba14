"""Data sets, models and code as inputs of jobs: what names them, and where they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from bench.data import describe, needs_running
from bench.data.catalogue import DATA
from bench.data.samples import DataInfo
from bench.errors import BenchError
from bench.suite.jobs import ContentOf, Job
from bench.suite.schema import Use
from bench.suite.spec import DataSpec, Suite


class Input(NamedTuple):
    """One input of a job.

    Attributes:
        identity: What names its content, as JSON.
        work: Where to find it, as JSON.
        needs: Jobs that make it.
        uncached: Why it cannot be named, and so nothing made from it cached; empty where it can.
        uses: Jobs of which it is made as well, where they end well.
    """

    identity: Any
    work: dict[str, Any]
    needs: tuple[str, ...] = ()
    uncached: str = ""
    uses: tuple[str, ...] = ()


def together(parts: Sequence[Input], work: Mapping[str, Any], *, optional: bool = False) -> Input:
    """Several inputs as one.

    Args:
        parts: The inputs.
        work: Where to find them, as JSON.
        optional: Do without those whose jobs do not end well.
    """
    needs = tuple(need for part in parts for need in part.needs)
    uses = tuple(use for part in parts for use in part.uses)
    uncached = next((part.uncached for part in parts if part.uncached), "")
    identity = [part.identity for part in parts]
    return Input(identity, dict(work), () if optional else needs, uncached, needs + uses if optional else uses)


class Inputs:
    """The inputs that the jobs of a suite can have.

    Args:
        suite: A checked suite.
        source_digest: Names the source file of an import name; None where it cannot be read.
        file_digest: Names the content of a file or folder; raises `BenchError` when it is missing.
        materialised: What running the data sources that need it has given so far.
        failures: Data sets whose job failed, with the reason.
    """

    def __init__(
        self,
        suite: Suite,
        *,
        source_digest: Callable[[str], str | None],
        file_digest: Callable[[str], str],
        materialised: Mapping[str, DataInfo],
        failures: Mapping[str, str],
    ) -> None:
        self.suite = suite
        self._source_digest = source_digest
        self._file_digest = file_digest
        self.infos: dict[str, DataInfo] = {}
        self.waiting: set[str] = set()
        self.unavailable: dict[str, str] = dict(failures)
        for name, spec in suite.data.items():
            if name in self.unavailable:
                continue
            if needs_running(spec.source) and name not in materialised:
                self.waiting.add(name)
                continue
            try:
                self.infos[name] = describe(name, spec.source, spec.options, materialised.get(name))
            except BenchError as error:
                self.unavailable[name] = str(error)

    def materialising(self, spec: DataSpec) -> Job:
        """The job that runs a source and keeps the samples it gave."""
        options = spec.options.model_dump(mode="json", exclude={"take", "skip"})
        work = {"source": spec.source, "options": options}
        if spec.source in DATA:
            return Job(f"data/{spec.name}", "data", {**work, "version": DATA[spec.source].version}, work, weight=20)
        code = self.code(spec.source)
        identity = {"source": code.identity, "options": options}
        return Job(f"data/{spec.name}", "data", identity, work, weight=20, uncached=code.uncached)

    def data(self, name: str) -> Input:
        """A data set whose samples are known. Which of them a job uses is said beside it."""
        spec, info = self.suite.data[name], self.infos[name]
        work: dict[str, Any] = {
            "name": name,
            "source": spec.source,
            "options": spec.options.model_dump(mode="json"),
            "range": None if info.low == float("-inf") else [info.low, info.high],
        }
        if not needs_running(spec.source):
            return Input({"fingerprint": info.fingerprint}, work)
        job = f"data/{name}"
        return Input({"fingerprint": info.fingerprint}, {**work, "materialised": job}, (job,))

    def code(self, name: str) -> Input:
        """A user's code, by import name."""
        source = self._source_digest(name)
        if source is None:
            return Input({"name": name}, {"name": name}, uncached=f"the source of {name} cannot be read")
        return Input({"name": name, "source": source}, {"name": name})

    def component(self, use: Use) -> Input:
        """An attack, recipe, metric or architecture with its options."""
        written = {"name": use.name, "options": use.options, "version": use.version}
        if not use.imported:
            return Input(written, written)
        code = self.code(use.name)
        return Input({"code": code.identity, "options": use.options}, written, uncached=code.uncached)

    def architecture(self, name: str) -> Input:
        """A model without its weights."""
        block = self.suite.models[name].block
        if block.arch is not None and not block.arch.imported:
            arch = self.component(block.arch)
            return Input({"kind": block.kind, "arch": arch.identity}, {"kind": block.kind, "arch": arch.work})
        target, args = (block.load, block.args) if block.arch is None else (block.arch.name, block.arch.options)
        code = self.code(target or "")
        identity = {"kind": block.kind, "code": code.identity, "args": args}
        return Input(identity, {"kind": block.kind, "load": target, "args": args}, uncached=code.uncached)

    def model(self, name: str, trial: int) -> Input:
        """A model with its weights and what is put around it, or a set of samples that stands for a generator."""
        made = self._undefended(name, trial)
        uses = self.suite.models[name].block.defenses
        if not uses:
            return made
        around = together(
            [self.component(use) for use in uses], {"defenses": [self.component(use).work for use in uses]}
        )
        return made._replace(
            identity={**made.identity, "defenses": around.identity},
            work={**made.work, **around.work},
            uncached=made.uncached or around.uncached,
        )

    def _undefended(self, name: str, trial: int) -> Input:
        """A model with its weights."""
        spec = self.suite.models[name]
        block = spec.block
        if block.samples is not None:
            file = self._file(block.samples)
            return Input({"samples": file}, {"name": name, "kind": block.kind, "samples": block.samples})
        bare = self.architecture(name)
        work = {"name": name, **bare.work}
        if spec.recipe is not None:
            job = f"train/{name}/{trial}"
            identity = {**bare.identity, "weights": ContentOf(job)}
            return Input(identity, {**work, "weights_job": job}, (job,), bare.uncached)
        if block.weights is not None:
            identity = {**bare.identity, "weights": self._file(block.weights)}
            return Input(identity, {**work, "weights_file": block.weights}, (), bare.uncached)
        if spec.packaged is not None and block.arch is not None:
            found = spec.packaged.find()
            identity = {**bare.identity, "weights": "missing" if found is None else self._file(str(found))}
            return Input(identity, {**work, "weights_packaged": block.arch.name}, (), bare.uncached)
        return Input(bare.identity, work, (), bare.uncached)

    def trainable(self, name: str) -> bool:
        """Whether a model needs no training, or its training data is known."""
        data = self.suite.models[name].train_data
        return data is None or data in self.infos

    def _file(self, path: str) -> str:
        """Names a file of the user's; a missing one is reported by the job that reads it."""
        try:
            return self._file_digest(path)
        except BenchError:
            return "missing"
