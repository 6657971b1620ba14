"""Looking into the lists of what the jobs of a run used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.engine.store import Store
from bench.manifest.entries import Entry, Kind, Manifests
from bench.manifest.roots import Roots

_PATHS = (Kind.FILE, Kind.SOURCE, Kind.ABSENT, Kind.PRESENT, Kind.LISTING, Kind.TREE)


def lists(run: Path, store: Path) -> dict[str, Manifests]:
    """The lists of the jobs of a run that ran users' code, by job id."""
    jobs: dict[str, Any] = json.loads((run / "run.json").read_text())["jobs"]
    kept = Store(store)
    found = {job: kept.manifests(facts["manifest"]) for job, facts in jobs.items() if facts.get("manifest")}
    assert all(each is not None for each in found.values())
    return {job: each for job, each in found.items() if each is not None}


def used(run: Path, store: Path, roots: Roots | None = None) -> dict[str, set[Path]]:
    """The absolute paths in the lists of a run's jobs, those of modules included, by job id."""
    places = roots or Roots.here()
    found: dict[str, set[Path]] = {}
    for job, manifests in lists(run, store).items():
        paths = found.setdefault(job, set())
        for manifest in manifests.components.values():
            for text in manifest.entries:
                kind, name = Entry.parse(text)
                if kind in _PATHS and (path := places.locate(name)) is not None:
                    paths.add(Path(path))
    return found


def untracked(run: Path, store: Path) -> dict[str, list[str]]:
    """Why the lists of a run's jobs are incomplete, by job id; jobs with complete lists are left out."""
    return {
        job: [f"{component} {phrase}" for component, phrases in manifests.untracked().items() for phrase in phrases]
        for job, manifests in lists(run, store).items()
        if manifests.untracked()
    }
