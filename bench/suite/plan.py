"""From a suite to jobs: what has to be done, in what order, under what keys. Nothing here needs torch."""

from __future__ import annotations

from typing import Any

from bench.attacks.catalogue import ATTACKS
from bench.data import needs_running
from bench.suite.auditing import Auditing
from bench.suite.inputs import Input, Inputs
from bench.suite.jobs import CHUNK, AuditCell, Cell, ContentOf, Job, Plan
from bench.suite.names import REAL_DATA, from_surrogate, metrics_of, needs_looks, network_option
from bench.suite.schema import Generation, Reconstruction, Robustness, Transfer, Use


def make_plan(inputs: Inputs, *, device: str) -> Plan:
    """The jobs and cells of a suite, as far as its data sets are known.

    Args:
        inputs: The suite's data, models and code.
        device: ``cpu`` or ``cuda``: the class of device that outcomes are keyed by.
    """
    return Planner(inputs, device).plan()


class Planner:
    """Builds the plan of a suite, job by job."""

    def __init__(self, inputs: Inputs, device: str) -> None:
        self.inputs = inputs
        self.suite = inputs.suite
        self.device = device
        self.jobs: dict[str, Job] = {}
        self.cells: list[Cell] = []
        self.audits: dict[tuple[str, str], AuditCell] = {}

    def plan(self) -> Plan:
        """The whole plan."""
        for spec in self.suite.data.values():
            if needs_running(spec.source):
                self.add(self.inputs.materialising(spec))
        for name in self.suite.models:
            building = self.inputs.building(name)
            if building is not None:
                self.add(building)
            self.train(name)
        for name, block in self.suite.evaluations.items():
            if block.data not in self.inputs.infos:
                continue
            if isinstance(block, Robustness):
                for model in filter(self.inputs.trainable, block.models):
                    for use in block.attacks:
                        self.classify(name, block, model, use, None)
                if block.audit != "off":
                    self.audits |= Auditing(self, name, block).plan()
            elif isinstance(block, Transfer):
                for victim in filter(self.inputs.trainable, block.victims):
                    for use in block.attacks:
                        for surrogate in filter(self.inputs.trainable, block.surrogates):
                            self.classify(name, block, victim, use, surrogate)
            elif isinstance(block, Reconstruction):
                for model in filter(self.inputs.trainable, block.models):
                    for use in block.attacks:
                        self.reconstruct(name, block, model, use)
            else:
                self.generate(name, block)
        waiting = frozenset(self.inputs.waiting)
        return Plan(self.jobs, tuple(self.cells), waiting, self.inputs.unavailable, self.audits)

    def add(self, job: Job) -> str:
        """Add a job; its id."""
        self.jobs[job.id] = job
        return job.id

    def job(
        self,
        name: str,
        kind: str,
        inputs: dict[str, Input],
        shared: dict[str, Any],
        *,
        timeout: float | None,
        weight: float = 1.0,
        on_device: bool = True,
    ) -> str:
        """Add a job whose identity and work follow from its inputs and the facts they share."""
        identity: dict[str, Any] = {**{key: value.identity for key, value in inputs.items()}, **shared}
        if on_device:
            identity |= {"device": self.device, "dtype": "float32"}
        work = {**{key: value.work for key, value in inputs.items()}, **shared}
        needs = tuple(dict.fromkeys(need for value in inputs.values() for need in value.needs))
        uses = dict.fromkeys(use for value in inputs.values() for use in value.uses if use not in needs)
        return self.add(Job(name, kind, identity, work, needs, tuple(uses), timeout, weight))

    def made_by(self, job: str) -> Input:
        """Another job's result as an input."""
        return Input(ContentOf(job), {"job": job}, (job,))

    def stretch(self, data: str) -> tuple[int, int]:
        """First and last-but-one position of the samples a data set's `skip` and `take` leave."""
        info = self.inputs.infos[data]
        return info.skip, info.skip + info.count

    def trials(self, model: str) -> range:
        """The trials of a model."""
        return range(self.suite.models[model].block.trials)

    def train(self, name: str) -> None:
        """The trainings of a model, if it is trained here."""
        spec = self.suite.models[name]
        if spec.recipe is None or spec.train_data is None or not self.inputs.trainable(name):
            return
        start, stop = self.stretch(spec.train_data)
        inputs = {
            "model": self.inputs.architecture(name),
            "recipe": self.inputs.component(spec.recipe),
            "data": self.inputs.data(spec.train_data),
        }
        for trial in self.trials(name):
            shared = {"start": start, "stop": stop, "seed": self.suite.seed, "trial": trial}
            self.job(f"train/{name}/{trial}", "train", inputs, shared, timeout=None, weight=2000, on_device=False)

    @staticmethod
    def threat_facts(block: Robustness | Transfer) -> dict[str, Any]:
        """Norm, radii and goal of an evaluation, as its jobs have them."""
        return {"norm": block.threat.norm, "epsilon": sorted(block.threat.epsilon), "target": block.threat.target}

    def craft(
        self, name: str, block: Robustness | Transfer, model: str, trial: int, use: Use
    ) -> list[tuple[str, dict[str, Any]]]:
        """The jobs that craft examples on one model, one a chunk, each with the facts its judges share."""
        threat = self.threat_facts(block)
        inputs = {
            "model": self.inputs.model(model, trial),
            "data": self.inputs.data(block.data),
            "attack": self.inputs.component(use),
        }
        steps = _passes(use)
        first, end = self.stretch(block.data)
        crafted = []
        for index, start in enumerate(range(first, end, CHUNK)):
            stop = min(start + CHUNK, end)
            shared = {
                "threat": threat,
                "budget": None if block.budget is None else block.budget.model_dump(),
                "every": isinstance(block, Transfer),
                "seed": self.suite.seed,
                "start": start,
                "stop": stop,
            }
            weight = 1 + steps * len(threat["epsilon"]) * (stop - start) / CHUNK
            job = f"attack/{name}/{model}/{trial}/{use.label}/{index}"
            crafted.append((self.job(job, "attack", inputs, shared, timeout=block.timeout, weight=weight), shared))
        return crafted

    def classify(self, name: str, block: Robustness | Transfer, victim: str, use: Use, surrogate: str | None) -> None:
        """A classifier under an attack crafted on itself or on a surrogate: crafting, verifying, scoring."""
        source = surrogate or victim
        label = use.label if surrogate is None else from_surrogate(use.label, surrogate)
        imported = [metric for metric in block.metrics if metric.imported]
        verified: list[tuple[str, ...]] = []
        scored: dict[str, list[tuple[str, ...]]] = {metric.label: [] for metric in imported}
        for trial in self.trials(victim):
            crafted = self.craft(name, block, source, trial % len(self.trials(source)), use)
            judge = {"model": self.inputs.model(victim, trial), "data": self.inputs.data(block.data)}
            place = f"{name}/{victim}/{trial}/{label}"
            jobs = []
            for index, (job, shared) in enumerate(crafted):
                inputs = {**judge, "examples": self.made_by(job)}
                jobs.append(self.job(f"verify/{place}/{index}", "verify", inputs, shared, timeout=block.timeout))
            verified.append(tuple(jobs))
            for metric in imported:
                scores = []
                for index, (job, shared) in enumerate(crafted):
                    inputs = {**judge, "examples": self.made_by(job), "metric": self.inputs.component(metric)}
                    target = f"score/{place}/{metric.label}/{index}"
                    scores.append(self.job(target, "score", inputs, shared, timeout=block.timeout))
                scored[metric.label].append(tuple(scores))
        scores_of = {key: tuple(value) for key, value in scored.items()}
        self.cells.append(Cell(name, victim, use.label, surrogate, tuple(verified), scores_of))

    def reconstruct(self, name: str, block: Reconstruction, model: str, use: Use) -> None:
        """An autoencoder under an attack: redirecting pairs of images, then inspecting what came of it."""
        start, stop = self.stretch(block.data)
        shared = {"pairs": block.pairs, "seed": self.suite.seed, "start": start, "stop": stop}
        trials = []
        for trial in self.trials(model):
            inputs = {"model": self.inputs.model(model, trial), "data": self.inputs.data(block.data)}
            place = f"{name}/{model}/{trial}/{use.label}"
            weight = 2.0 * _passes(use)
            job = self.job(
                f"redirect/{place}",
                "redirect",
                {**inputs, "attack": self.inputs.component(use)},
                shared,
                timeout=block.timeout,
                weight=weight,
            )
            inspected = {**inputs, "examples": self.made_by(job)}
            trials.append((self.job(f"inspect/{place}", "inspect", inspected, shared, timeout=block.timeout),))
        self.cells.append(Cell(name, model, use.label, None, tuple(trials)))

    def generate(self, name: str, block: Generation) -> None:
        """Generators and real data: drawing samples, then measuring them against the rest of the data."""
        start, stop = self.stretch(block.data)
        # real samples are spread evenly over the data: its order may not be random, as MNIST's is not
        split = {"start": start, "stop": stop, "real": min(block.samples, (stop - start) // 2)}
        noise = {"samples": block.samples, "seed": self.suite.seed, "noise": name}
        drawn: dict[str, list[str]] = {}
        for model in filter(self.inputs.trainable, block.models):
            drawn[model] = [
                self.job(
                    f"sample/{name}/{model}/{trial}",
                    "sample",
                    {"model": self.inputs.model(model, trial)},
                    noise,
                    timeout=block.timeout,
                    weight=5,
                )
                for trial in self.trials(model)
            ]
        data = self.inputs.data(block.data)
        job = f"sample/{name}/{REAL_DATA}/0"
        drawn[REAL_DATA] = [self.job(job, "sample", {"data": data}, split, timeout=block.timeout, on_device=False)]
        for model, samples in drawn.items():
            for use in metrics_of(block, model):
                inputs = {"data": data, "metric": self.inputs.component(use)}
                if needs_looks(use):
                    self.watched(name, block, model, use, inputs)
                    continue
                network = use.options.get(network_option(use))
                if network is not None:
                    if not self.inputs.trainable(network):
                        continue
                    inputs["network"] = self.inputs.model(network, 0)
                trials = []
                for trial, job in enumerate(samples):
                    place = f"measure/{name}/{model}/{trial}/{use.label}"
                    given = {**inputs, "samples": self.made_by(job)}
                    trials.append((self.job(place, "measure", given, split, timeout=block.timeout, weight=5),))
                self.cells.append(Cell(name, model, use.label, None, tuple(trials)))

    def watched(self, name: str, block: Generation, model: str, use: Use, inputs: dict[str, Input]) -> None:
        """A generator's looks: measuring what was kept of it while it was trained."""
        trials = []
        for trial in self.trials(model):
            place = f"measure/{name}/{model}/{trial}/{use.label}"
            given = {**inputs, "looks": self.made_by(f"train/{model}/{trial}")}
            trials.append((self.job(place, "measure", given, {}, timeout=block.timeout, weight=5, on_device=False),))
        self.cells.append(Cell(name, model, use.label, None, tuple(trials)))


def _passes(use: Use) -> float:
    """Gradient steps of an attack of ours, for the estimate of the time left; a guess for a user's own."""
    if use.imported:
        return 20.0
    traits, options = ATTACKS[use.name].traits, use.options
    if "passes" in traits:
        return float(traits["passes"])
    steps = options.get("steps", options.get("queries", 3) / 3)
    return float(steps * options.get("restarts", 1) * options.get("targets", 1) * options.get("searches", 1))
