"""What a job works with: a device, a batch size, the results of other jobs, and what is already in memory."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from bench.data import describe, load_source
from bench.data.catalogue import DATA, Imported
from bench.data.files import file_digest
from bench.data.samples import Samples
from bench.defenses.around import defended
from bench.engine.store import DIGESTS, Record, read_record
from bench.engine.task import Place, Task
from bench.engine.work.calling import out_of_memory
from bench.engine.work.seeding import seeded
from bench.engine.worlds import World, Worlds
from bench.errors import DataError, ModelError
from bench.manifest.digests import CACHE
from bench.models.build import Model, build, check_kind, own_copy, ready, state_of
from bench.models.identity import check_state
from bench.models.packaged import PACKAGED
from bench.models.weights import load_weights, read_weights
from bench.training.together import LOOK

T = TypeVar("T")
VERIFY_BATCH = 97
"""Batch size of verification: never that of an attack, and the same whatever --batch-size says."""


class Workplace:
    """Where jobs of one process are done, one after another.

    Args:
        device: Where models and batches go.
        batch_size: Largest batch of a forward or backward pass; halved when memory runs out.
    """

    def __init__(self, device: str, batch_size: int) -> None:
        self.device = torch.device(device)
        if self.device.type == "cuda":
            # figures must not depend on whether a card has reduced-precision units
            torch.backends.cudnn.allow_tf32 = False
            torch.backends.cuda.matmul.allow_tf32 = False
        self.batch_size = batch_size
        self.worlds = Worlds(self._forget)
        self.world = ""
        self.earlier = ""
        self.inputs: Mapping[str, str] = {}
        self.outputs: Sequence[Path] = ()
        self.report: Callable[[float], None] = lambda share: None  # noqa: ARG005
        self._kept: OrderedDict[str, Any] = OrderedDict()
        self._states: dict[str, list[tuple[int, int, str]]] = {}

    def begin(self, task: Task, outputs: Sequence[Path], report: Callable[[float], None]) -> World:
        """Take up the next job, with models as they were loaded, whatever they did to themselves in the one before.

        Args:
            task: The job.
            outputs: Where its results go.
            report: Told the share that is done.

        Returns:
            The modules of the users' components that it runs.
        """
        self.inputs, self.outputs, self.report, self.earlier = task.inputs, outputs, report, task.earlier
        where = Place(**task.place)
        if where.store:
            CACHE.open(Path(where.store) / DIGESTS)
        world = self.worlds.enter(task.kind, task.work, where.hidden)
        self.world = world.name
        for key, state in list(self._states.items()):
            if key not in self._kept or state_of(self._kept[key]) != state:
                self._kept.pop(key, None)
                del self._states[key]
        return world

    def _forget(self, world: str) -> None:
        """Drop what was made of the modules of a world."""
        for key in [key for key in self._kept if key.startswith(world)]:
            del self._kept[key]

    def record(self, job: str) -> Record:
        """The result of another job."""
        return read_record(Path(self.inputs[job]))

    def kept(self, key: str, make: Callable[[], T]) -> T:
        """A value from memory, or made now; the few used last are kept. Worlds share none."""
        key = f"{self.world} {key}"
        if key not in self._kept:
            self._kept[key] = make()
        self._kept.move_to_end(key)
        while len(self._kept) > 8:
            self._kept.popitem(last=False)
        return self._kept[key]  # type: ignore[no-any-return]

    def samples(self, work: Mapping[str, Any]) -> Samples:
        """All samples that a data set's `skip` and `take` leave; position 0 is the first of them."""
        return self.kept("data " + self.named(work), lambda: self._load_samples(work))

    def _load_samples(self, work: Mapping[str, Any]) -> Samples:
        source = work["source"]
        options = (DATA[source].options if source in DATA else Imported)(**work["options"])
        materialised = None
        if "materialised" in work:
            record = self.record(work["materialised"])
            labels = record.arrays.get("y")
            materialised = Samples(record.arrays["x"], labels, record.meta["ids"])
        samples = load_source(work["name"], source, options, materialised)  # type: ignore[arg-type]
        if "fingerprint" in work and describe(work["name"], source, options).fingerprint != work["fingerprint"]:  # type: ignore[arg-type]
            raise DataError(f"data '{work['name']}' has changed since this run began; run the same command again")
        return samples

    def model(self, work: Mapping[str, Any]) -> Model:
        """A model with its weights, ready on the device."""
        named = "model " + self.named(work)
        model, key = self.kept(named, lambda: self._load_model(work)), f"{self.world} {named}"
        if key not in self._states:
            self._states[key] = state_of(model)
        return model

    def _load_model(self, work: Mapping[str, Any]) -> Model:
        name = work["name"]
        with seeded(0):
            model = build(work)
        if "built" in work:
            check_state(model, self.record(work["built"]).meta, work["load"])
        if "load" in work:
            model = own_copy(model)
        if "weights_job" in work:
            arrays = self.record(work["weights_job"]).arrays
            weights = {key: values for key, values in arrays.items() if not key.startswith(LOOK)}
            load_weights(model, weights, f"'{name}'")
        elif "weights_file" in work:
            if not isinstance(model, nn.Module):
                found = type(model).__name__
                raise ModelError(f"model '{name}' is a {found}, not a torch module, so it cannot take weights")
            load_weights(model, self._weights(work["weights_file"], work["weights_digest"]), work["weights_file"])
        elif "weights_packaged" in work:
            path = PACKAGED[work["weights_packaged"]].path()
            load_weights(model, read_weights(path), str(path))
        check_kind(model, work["kind"], name)
        model = ready(model, self.device)  # what is put around it need not be a module, and may hide it
        for use in work.get("defenses", ()):
            model = ready(defended(model, use["name"], use["options"]), self.device)
        return model

    @staticmethod
    def _weights(path: str, expected: str) -> Mapping[str, Tensor]:
        """The weights in a file, which must be the one that the run was planned with."""
        weights = read_weights(Path(path))
        if expected != "missing" and file_digest(Path(path)) != expected:
            raise ModelError(f"{path} has changed since this run began; run the same command again")
        return weights

    def named(self, work: Mapping[str, Any]) -> str:
        """Names an input by what it is and by the files it comes from, so that memory is never stale."""
        used = {value: self.inputs[value] for value in work.values() if isinstance(value, str) and value in self.inputs}
        return json.dumps([work, used], sort_keys=True)

    def batched(self, function: Callable[[slice], T], count: int, size: int | None = None) -> list[T]:
        """Results of `function` on consecutive slices; when memory runs out, the slices are halved.

        Raises:
            torch.OutOfMemoryError: A single sample does not fit (on a CPU also RuntimeError or MemoryError).
        """
        results: list[T] = []
        start, size = 0, min(size or self.batch_size, count)
        while start < count:
            try:
                results.append(function(slice(start, min(start + size, count))))
                start += size
            except Exception as error:
                if not out_of_memory(error) or size == 1:
                    raise
                torch.cuda.empty_cache()
                size = max(1, size // 2)
                self.batch_size = min(self.batch_size, size)
        return results

    def tensor(self, values: Any) -> Tensor:
        """An array on the device."""
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.device)
