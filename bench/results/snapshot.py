"""What a run leaves to be compared with: figures and outcomes of each sample, packed, in one JSON file.

Comparing two of them needs neither the store nor torch.
"""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import UsageError
from bench.results.row import RANK

SCHEMA = 4
"""Version of snapshots and baselines."""
FILE = "snapshot.json"
_FIGURES = ("value", "low", "high", "forwards", "backwards", "memory", "epsilon")
UNKNOWN, SEVERAL = "unknown", " and "
"""What a fact of the machine is where nobody noted it, and what joins those of several machines."""


@dataclass(frozen=True)
class Gated:
    """How a row is compared with a baseline.

    Attributes:
        tolerance: Largest drop that is accepted, in the row's units.
        compare: ``auto``, ``exact`` or ``paired``.
    """

    tolerance: float = 0.0
    compare: str = "auto"


@dataclass(frozen=True)
class Recorded:
    """A row of a snapshot.

    Attributes:
        status: How the jobs behind it ended.
        message: What went wrong, or what a reader must know.
        value: Its figure; NaN where there is none.
        low: Lower end of its interval.
        high: Upper end.
        direction: ``higher``, ``lower`` or ``neither``.
        n: Samples a trial.
        trials: Trained models behind it.
        forwards: Forward passes a sample.
        backwards: Backward passes a sample.
        memory: Most memory of a job behind it, MiB.
        row_verdict: Whether the attack was adequate.
        model_verdict: Whether the model's robustness can be trusted.
        data: Names the data behind it.
        method: Names how it was measured.
        whole: Names all it depends on but the machine; empty where not all of it can be named.
        models: Names the trained models it judges, trial by trial.
        epsilon: Radius, exactly; its id has three digits of it.
        ours: Whether all code behind it is of this package, so that it does the same again on the same machine.
        samples: Which list of sample names belongs to `values`; empty where a trial has a single figure.
        values: Packed values, one text a trial; see `pack`.
        code: Names what the users' attacks and metrics that measure it used; empty where there are none.
        untracked: What users' code behind it did that no list can hold, one phrase each.
    """

    status: str
    message: str
    value: float
    low: float
    high: float
    direction: str
    n: int
    trials: int
    forwards: float
    backwards: float
    memory: float
    row_verdict: str
    model_verdict: str
    data: str
    method: str
    whole: str
    ours: bool
    models: str = ""
    epsilon: float = math.nan
    samples: str = ""
    values: tuple[str, ...] = ()
    code: str = ""
    untracked: tuple[str, ...] = ()


@dataclass(frozen=True)
class Snapshot:
    """A run as others are compared with it.

    Attributes:
        suite: Name of the suite.
        device: ``cpu`` or ``cuda``: the class of device.
        machine: What figures of a deterministic row depend on, where their jobs were done: processor, torch, threads.
        level: Largest probability of calling chance a regression.
        passes: Share by which the passes of a gated row may grow; None for any.
        memory: The same of memory.
        gated: The rows that a gate compares.
        rows: All rows that are recorded, by id.
        samples: Lists of sample names, packed, by the name `Recorded.samples` has for them.
        origin: Commit, time and assignments, for a reader.
    """

    suite: str
    device: str
    machine: Mapping[str, Any]
    level: float
    passes: float | None
    memory: float | None
    gated: Mapping[str, Gated]
    rows: Mapping[str, Recorded]
    samples: Mapping[str, str]
    origin: Mapping[str, Any] = field(default_factory=dict)

    def ids(self, row: str) -> list[str]:
        """The names of a row's samples."""
        packed = self.samples.get(self.rows[row].samples, "")
        return json.loads(zlib.decompress(base64.b64decode(packed))) if packed else []

    def values(self, row: str) -> list[NDArray[np.float64]]:
        """A row's values, one array a trial."""
        return [unpack(text) for text in self.rows[row].values]

    def only_gated(self) -> Snapshot:
        """What a baseline keeps: the rows that a gate compares."""
        rows = {name: self.rows[name] for name in self.gated}
        used = {row.samples for row in rows.values()}
        return replace(self, rows=rows, samples={key: value for key, value in self.samples.items() if key in used})


def pack(values: NDArray[np.float64]) -> str:
    """Values as a text: one bit each where all are 0 or 1, float32 otherwise, with a mask where some are NaN.

    >>> pack(np.array([1.0, 0.0, 1.0])), unpack(pack(np.array([0.5, np.nan]))).tolist()
    ('bits 3 oA==', [0.5, nan])
    """
    counted = ~np.isnan(values)
    kept = values[counted]
    if np.isin(kept, (0.0, 1.0)).all():
        parts = ["bits", str(len(values)), _text(np.packbits(kept.astype(np.bool_)).tobytes())]
    else:
        parts = ["floats", str(len(values)), _text(zlib.compress(kept.astype("<f4").tobytes(), 9))]
    if not counted.all():
        parts.append(_text(np.packbits(counted).tobytes()))
    return " ".join(parts)


def unpack(text: str) -> NDArray[np.float64]:
    """The values that `pack` wrote; bits exactly, others to float32."""
    kind, length, content, *mask = text.split(" ")
    count = int(length)
    counted = np.ones(count, np.bool_) if not mask else _bits(mask[0], count)
    values = np.full(count, np.nan)
    kept = int(counted.sum())
    if kind == "bits":
        values[counted] = _bits(content, kept)
    else:
        values[counted] = np.frombuffer(zlib.decompress(base64.b64decode(content)), "<f4")
    return values


def pack_ids(ids: Sequence[str]) -> str:
    """Names of samples as a text."""
    return _text(zlib.compress(json.dumps(list(ids)).encode(), 9))


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _bits(text: str, count: int) -> NDArray[np.bool_]:
    return np.unpackbits(np.frombuffer(base64.b64decode(text), np.uint8), count=count).astype(np.bool_)


def to_json(snapshot: Snapshot) -> str:
    """A snapshot as JSON, one row a line, so that a diff shows what changed."""
    whole = asdict(snapshot)
    head = {"schema": SCHEMA, **{key: value for key, value in whole.items() if key not in ("rows", "samples")}}
    lines = [f" {json.dumps(key)}: {json.dumps(_finite(value))}," for key, value in head.items()]
    for section in ("rows", "samples"):
        entries = [f"  {json.dumps(key)}: {json.dumps(_finite(value))}" for key, value in whole[section].items()]
        lines += [f' "{section}": {{', ",\n".join(entries), " }," if section == "rows" else " }"]
    return "{\n" + "\n".join(line for line in lines if line) + "\n}\n"


def read(path: Path) -> Snapshot:
    """Read the snapshot of a run folder, a snapshot file or a baseline.

    Raises:
        UsageError: There is none, or it cannot be used.
    """
    file = path / FILE if path.is_dir() else path
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        where = f"the run in {path} has no {FILE}: it has not ended; run the same command again to finish it"
        raise UsageError(
            where if path.is_dir() else f"expected a run folder or a baseline at {path}, found none"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{file} cannot be read as a snapshot: {error}") from None
    found = content.get("schema") if isinstance(content, dict) else None
    if found != SCHEMA:
        raise UsageError(
            f"{file} has schema {found}, this version reads {SCHEMA}; run the suite again with this version"
            + ("" if path.is_dir() else ", then write the baseline anew with `bench baseline RUN -o FILE`")
        )
    try:
        rows = {key: Recorded(**_with_nan(row)) for key, row in content["rows"].items()}
        gated = {key: Gated(**entry) for key, entry in content["gated"].items()}
        facts = {key: content[key] for key in ("suite", "device", "machine", "level", "passes", "memory", "samples")}
        return _checked(Snapshot(**facts, gated=gated, rows=rows, origin=content.get("origin", {})))
    except (KeyError, TypeError, AttributeError, ValueError, MemoryError, zlib.error) as error:
        raise UsageError(
            f"{file} is no snapshot: {error}; write it anew with `bench run` or `bench baseline`"
        ) from None


def _checked(snapshot: Snapshot) -> Snapshot:
    """A snapshot whose facts are of their kinds, and whose values can be unpacked and are of the samples named.

    Raises:
        ValueError: They are not.
    """
    lacking = [row for row in snapshot.gated if row not in snapshot.rows]
    if lacking:
        raise ValueError(f"it gates '{lacking[0]}' and has no such row")
    kinds = {"machine": Mapping, "origin": Mapping, "samples": Mapping, "suite": str, "device": str, "level": float}
    wrong = [key for key, kind in kinds.items() if not isinstance(getattr(snapshot, key), kind)]
    wrong += [key for key in ("passes", "memory") if not isinstance(getattr(snapshot, key), float | int | None)]
    for rule in snapshot.gated.values():
        wrong += [] if isinstance(rule.tolerance, float | int) else ["tolerance"]
        wrong += [] if rule.compare in ("auto", "exact", "paired") else ["compare"]
    for recorded in snapshot.rows.values():
        wrong += [key for key in _FIGURES if not isinstance(getattr(recorded, key), float | int)]
        wrong += [] if recorded.model_verdict in RANK else ["model_verdict"]
    if wrong:
        raise ValueError(f"its '{wrong[0]}' is none")
    for row in snapshot.rows:
        ids, trials = snapshot.ids(row), snapshot.values(row)
        if ids and any(len(values) != len(ids) for values in trials):
            raise ValueError(f"'{row}' has values of other samples than it names")
    return snapshot


def _finite(value: Any) -> Any:
    """JSON has no NaN."""
    if isinstance(value, Mapping):
        return {key: _finite(entry) for key, entry in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _with_nan(row: Mapping[str, Any]) -> dict[str, Any]:
    found = {key: math.nan if key in _FIGURES and value is None else value for key, value in row.items()}
    return {**found, "values": tuple(row["values"]), "untracked": tuple(row["untracked"])}
