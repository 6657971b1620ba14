"""Data sets, models and code as inputs of jobs: what names them, and where they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from bench.data import describe, needs_running
from bench.data.catalogue import DATA
from bench.data.samples import DataInfo
from bench.errors import BenchError
from bench.suite.jobs import ContentOf, Job
from bench.suite.names import evaluated
from bench.suite.schema import Use
from bench.suite.spec import DataSpec, Suite


class Input(NamedTuple):
    """One input of a job.

    Attributes:
        identity: What names its content, as JSON.
        work: Where to find it, as JSON.
        needs: Jobs that make it.
        uses: Jobs of which it is made as well, where they end well.
    """

    identity: Any
    work: dict[str, Any]
    needs: tuple[str, ...] = ()
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
    identity = [part.identity for part in parts]
    return Input(identity, dict(work), () if optional else needs, needs + uses if optional else uses)


class Inputs:
    """The inputs that the jobs of a suite can have.

    Args:
        suite: A checked suite.
        file_digest: Names the content of a file or folder; raises `BenchError` when it is missing.
        materialised: What running the data sources that need it has given so far.
        failures: Data sets whose job failed, with the reason.
    """

    def __init__(
        self,
        suite: Suite,
        *,
        file_digest: Callable[[str], str],
        materialised: Mapping[str, DataInfo],
        failures: Mapping[str, str],
    ) -> None:
        self.suite = suite
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
        options = spec.options.model_dump(mode="json", exclude={"take", "skip", "uses"})
        work = {"source": spec.source, "options": options, "uses": list(getattr(spec.options, "uses", ()))}
        if spec.source in DATA:
            identity = {"source": spec.source, "options": options, "version": DATA[spec.source].version}
            return Job(f"data/{spec.name}", "data", identity, work, weight=20)
        identity = {"source": {"name": spec.source}, "options": options}
        return Job(f"data/{spec.name}", "data", identity, work, weight=20)

    def data(self, name: str) -> Input:
        """A data set whose samples are known. Which of them a job uses is said beside it."""
        spec, info = self.suite.data[name], self.infos[name]
        work: dict[str, Any] = {
            "name": name,
            "source": spec.source,
            "options": spec.options.model_dump(mode="json", exclude={"uses"}),
            "range": None if info.low == float("-inf") else [info.low, info.high],
        }
        if not needs_running(spec.source):
            return Input({"fingerprint": info.fingerprint}, {**work, "fingerprint": info.fingerprint})
        job = f"data/{name}"
        return Input({"fingerprint": info.fingerprint}, {**work, "materialised": job}, (job,))

    def component(self, use: Use) -> Input:
        """An attack, recipe, metric, defence or architecture with its options; a user's is named, and tracked."""
        written = {"name": use.name, "options": use.options, "version": use.version}
        if not use.imported:
            return Input(written, written)
        return Input({"code": {"name": use.name}, "options": use.options}, {**written, "uses": list(use.uses)})

    def architecture(self, name: str) -> Input:
        """A model without its weights."""
        block = self.suite.models[name].block
        if block.arch is not None and not block.arch.imported:
            arch = self.component(block.arch)
            return Input({"kind": block.kind, "arch": arch.identity}, {"kind": block.kind, "arch": arch.work})
        bare, job = self._code(name), f"build/{name}"
        return Input({**bare.identity, "built": ContentOf(job)}, {**bare.work, "built": job}, (job,))

    def _code(self, name: str) -> Input:
        """A model of a user's before it is built."""
        block = self.suite.models[name].block
        target, args = (block.load, block.args) if block.arch is None else (block.arch.name, block.arch.options)
        uses = [*block.uses, *(block.arch.uses if block.arch is not None else ())]
        identity = {"kind": block.kind, "code": {"name": target}, "args": args}
        return Input(identity, {"kind": block.kind, "load": target, "args": args, "uses": uses})

    def building(self, name: str) -> Job | None:
        """The job that builds a user's model, which says what it is; None for a model of ours, or one that is not used.

        What the model answers to a few samples is kept as well, to be compared where a list cannot hold all it uses.
        """
        block = self.suite.models[name].block
        named = list(self._shown_to(name))
        if not named or (block.load is None and (block.arch is None or not block.arch.imported)):
            return None
        bare = self._code(name)
        data = next((data for data in named if data in self.infos), None)
        probe = Input(None, {}) if data is None else self.data(data)
        work = {"model": {"name": name, **bare.work}, "seed": self.suite.seed, **({"data": probe.work} if data else {})}
        return Job(f"build/{name}", "build", {"model": bare.identity}, work, probe.needs, weight=2)

    def _shown_to(self, name: str) -> Iterator[str]:
        """The data sets of the evaluations that a model is in, and the one it is trained on."""
        for block in self.suite.evaluations.values():
            if name in evaluated(block):
                yield block.data
        trained = self.suite.models[name].train_data
        if trained is not None:
            yield trained

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
            return Input(identity, {**work, "weights_job": job}, (*bare.needs, job))
        if block.weights is not None:
            file = self._file(block.weights)
            identity = {**bare.identity, "weights": file}
            return Input(identity, {**work, "weights_file": block.weights, "weights_digest": file}, bare.needs)
        if spec.packaged is not None and block.arch is not None:
            found = spec.packaged.find()
            identity = {**bare.identity, "weights": "missing" if found is None else self._file(str(found))}
            return Input(identity, {**work, "weights_packaged": block.arch.name}, bare.needs)
        return Input(bare.identity, work, bare.needs)

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
