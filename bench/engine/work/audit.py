"""Jobs of an audit: one check of one model, and what is tried on a model that a check finds masked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.attacks.budget import Budget
from bench.attacks.curve import MISCLASSIFIED
from bench.audit.case import Case, Chosen
from bench.audit.catalogue import CHECKS
from bench.audit.finding import LEVELS, Checked, Found, Probed
from bench.audit.planted import planted
from bench.audit.rescue import rescue as rescue_from
from bench.data.samples import Samples
from bench.engine.store import Record
from bench.engine.work.calling import classifier
from bench.engine.work.classify import chunk, threat_of
from bench.engine.work.workplace import Workplace
from bench.suite.jobs import CHUNK


def audit(work: Mapping[str, Any], place: Workplace) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """One check: its findings as facts, and the samples it showed can be broken."""
    entry = CHECKS[work["check"]["name"]]
    if entry.name == "planted":
        return _left(_planted(work, place), {"forwards": 0.0, "backwards": 0.0})
    case = _case(work, place)
    options: dict[str, Any] = {}
    if "attack" in work:
        options |= {"name": work["attack"]["name"], "options": work["attack"]["options"]}
    if entry.name == "watched":
        options["cost"] = _cost(_records(work["outcomes"], place)[work["watched"]]) / max(1, len(case.ids))
    if "what" in work:
        options["what"] = work["what"]
    if "attacks" in work:
        options["attacks"] = work["attacks"]
    if "others" in work:
        options["others"] = _others(work["others"], place)
    earlier = [] if "earlier" not in work else [_probed(place.record(work["earlier"]["job"]))]
    return _left(entry.load()(case, *earlier, **options), case.spent)


def _left(checked: Checked, spent: Mapping[str, float]) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    facts = {"findings": [asdict(finding) for finding in checked.findings], **spent}
    arrays: dict[str, NDArray[Any]] = {}
    if checked.found is not None:
        arrays |= {"found": checked.found.flags, "examples": checked.found.examples()}
    arrays |= {"took": checked.took, "by_gradient": checked.by_gradient} if isinstance(checked, Probed) else {}
    # equal findings have equal contents: what other jobs make of them depends on these and not on the minute
    grades = [LEVELS.index(finding.level) for finding in checked.findings]
    arrays["levels"] = np.array(grades, np.int8)
    arrays["values"] = np.array([finding.value for finding in checked.findings], np.float64)
    return facts, arrays


def _probed(record: Record) -> Probed:
    """What an earlier check left for this one."""
    found = Found.of(record.arrays["found"], record.arrays["examples"])
    return Probed((), found=found, took=record.arrays["took"], by_gradient=record.arrays["by_gradient"])


def _planted(work: Mapping[str, Any], place: Workplace) -> Checked:
    threat = work["threat"]
    samples = place.samples(work["data"])
    box = work["data"]["range"] or (float("-inf"), float("inf"))
    return planted(
        name=work["attack"]["name"],
        options=work["attack"]["options"],
        norm=threat["norm"],
        epsilons=threat["epsilon"],
        box=(box[0], box[1]),
        shape=samples.x.shape[1:],
        targeted=threat["target"] != "none",
        budget=_budget(work),
        device=place.device,
    )


def _records(outcomes: Mapping[str, Any], place: Workplace) -> list[list[Record]]:
    """The verified outcomes of each attack, chunk by chunk."""
    return [[place.record(job) for job in jobs] for jobs in outcomes["jobs"]]


def _cost(records: Sequence[Record]) -> float:
    """Forward passes plus two a backward pass that an attack made for all samples and radii."""
    return float(sum(record.arrays["forwards"].sum() + 2 * record.arrays["backwards"].sum() for record in records))


def _case(work: Mapping[str, Any], place: Workplace) -> Case:
    """The model with what the attacks left standing."""
    attacks = _records(work["outcomes"], place)
    ids = [name for record in attacks[0] for name in record.meta["ids"]]
    correct = np.concatenate([record.arrays["correct"] for record in attacks[0]])
    broken = np.repeat(~correct[None], len(work["threat"]["epsilon"]), 0)
    margin = np.full(broken.shape, -np.inf, np.float32)
    fell = []
    for records in attacks:
        reached, reach, valid = (
            np.concatenate([record.arrays[name] for record in records], 1) for name in ("reached", "margin", "valid")
        )
        broken |= reached
        fell.append(reached)
        margin = np.maximum(margin, np.where(valid, reach, -np.inf))
    threat = threat_of(work, max(work["threat"]["epsilon"]))
    skip = work["data"]["options"].get("skip", 0)
    samples: Samples = place.samples(work["data"]).stretch(work["start"] - skip, work["stop"] - skip)
    bare = place.model(work["model"])
    targets = _targets(work, place)

    def batch(chosen: Chosen) -> tuple[Tensor, Tensor]:
        assert samples.y is not None  # noqa: S101 - classifiers are judged by labels, or their attacks have failed
        part = Samples(samples.x[chosen], samples.y[chosen], ())
        return place.tensor(part.inputs()), place.tensor(part.y)

    return Case(
        model=classifier(bare, work["model"]["name"]),
        bare=bare,
        batch=batch,
        ids=ids,
        norm=threat.norm,
        epsilons=work["threat"]["epsilon"],
        box=(threat.low, threat.high),
        seed=work["seed"],
        correct=correct,
        broken=broken,
        margin=margin,
        passes=sum(map(_cost, attacks)),
        batched=place.batched,
        budget=_budget(work),
        bpda=work.get("bpda", False),
        targets=targets,
        fell=fell,
    )


def _budget(work: Mapping[str, Any]) -> Budget | None:
    """What an attack of the evaluation may cost a sample."""
    return Budget(**work["budget"]) if work.get("budget") else None


def _targets(work: Mapping[str, Any], place: Workplace) -> NDArray[np.int64] | None:
    """The classes to reach, as the first attack had them."""
    if "crafted" not in work:
        return None
    (jobs,) = work["crafted"]["jobs"]
    return np.concatenate([place.record(job).arrays["targets"] for job in jobs])


def _others(others: Mapping[str, Any], place: Workplace) -> list[tuple[str, Callable[[int, Chosen], Tensor]]]:
    """The examples that the evaluation's attacks crafted on those of its other models where they could."""

    def examples(jobs: Sequence[str]) -> Callable[[int, Chosen], Tensor]:
        def of(level: int, chosen: Chosen) -> Tensor:
            parts = []
            for number, job in enumerate(jobs):
                inside = chosen[(chosen >= number * CHUNK) & (chosen < (number + 1) * CHUNK)]
                if len(inside):
                    parts.append(place.record(job).arrays["examples"][level][inside - number * CHUNK])
            return torch.from_numpy(np.concatenate(parts))

        return of

    made = zip(others["names"], others["jobs"], strict=True)
    return [(name, examples(jobs)) for name, jobs in made if all(job in place.inputs for job in jobs)]


def rescue(work: Mapping[str, Any], place: Workplace) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """What the checks broke, and for a masked model what falls to other means."""
    records = [place.record(job) for jobs in work["checks"]["jobs"] for job in jobs if job in place.inputs]
    effects = {finding["effect"] for record in records for finding in record.meta["findings"]}
    case = _case(work, place)
    _, x, y = chunk(work, place)
    levels = len(case.epsilons)
    examples = x.expand(levels, *x.shape).clone()
    known = np.full((levels, len(x)), MISCLASSIFIED, np.uint8)
    costs = np.zeros((2, levels, len(x)), np.float32)
    facts: dict[str, Any] = {"epsilon": list(case.epsilons), "tried": []}
    first = work["start"] - work["first"]
    known_falls = [
        Found.of(record.arrays["found"], record.arrays["examples"]).within(first, first + len(x))
        for record in records
        if "found" in record.arrays
    ]
    masked = bool(effects & {"masked", "suspect"})
    if masked or any(found.flags.any() for found in known_falls):
        others = [*_surrogates(work["others"], place), *_twin(work["model"], place)] if masked else []
        tried = rescue_from(case, x, y, known_falls, others, place.report, masked=masked)
        examples, known, costs = tried.examples, tried.known, tried.costs
        facts["tried"] = tried.names
    arrays = {
        "examples": examples.cpu().numpy(),
        "known": known,
        "source_correct": case.correct,
        "forwards": costs[0],
        "backwards": costs[1],
    }
    if case.targets is not None:
        arrays["targets"] = case.targets
    return facts, arrays


def _twin(model: Mapping[str, Any], place: Workplace) -> list[tuple[str, Callable[[Tensor], Tensor]]]:
    """The same network without its defences, where they are declared: whoever attacks knows them."""
    defenses = model.get("defenses", ())
    if not defenses or any(use["options"].get("declared") is False for use in defenses):
        return []
    name = f"{model['name']} without its defences"
    return [(name, classifier(place.model({**model, "name": name, "defenses": []}), name))]


def _surrogates(others: Mapping[str, Any], place: Workplace) -> list[tuple[str, Callable[[Tensor], Tensor]]]:
    """The other models that could be attacked themselves; what is wrong with the rest is told where they are."""
    made = zip(others["models"], others["jobs"], strict=True)
    return [
        (work["name"], classifier(place.model(work), work["name"]))
        for work, jobs in made
        if all(job in place.inputs for job in jobs)
    ]
