"""The jobs of an audit: one a check, each with a key of its own, so that a fuller audit repeats nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bench.attacks.catalogue import ATTACKS
from bench.audit.catalogue import RESCUE_USES, RESCUE_VERSION, checks_of
from bench.catalogue import Component
from bench.suite.inputs import Input, together
from bench.suite.jobs import CHUNK, AuditCell, Cell
from bench.suite.names import RESCUE
from bench.suite.schema import Robustness, Use

if TYPE_CHECKING:
    from bench.suite.plan import Planner


_LESSER = ("fgsm", "noise")
"""Attacks that a short one along many gradients should outdo; Square with thousands of queries need not be one."""


class Auditing:
    """Plans the checks of one evaluation.

    Args:
        planner: Has planned the attacks of the evaluation, and takes the jobs.
        name: Name of the evaluation.
        block: The evaluation.
    """

    def __init__(self, planner: Planner, name: str, block: Robustness) -> None:
        self.planner, self.name, self.block = planner, name, block
        self.checks = checks_of(block.audit)
        first, end = planner.stretch(block.data)
        self.shared: dict[str, Any] = {
            "threat": planner.threat_facts(block),
            "seed": planner.suite.seed,
            "start": first,
            "stop": end,
        }
        if any(use.options.get("bpda") is True for use in block.attacks):
            self.shared["bpda"] = True
        self.data = planner.inputs.data(block.data)
        self.attacks = {use.label: planner.inputs.component(use) for use in block.attacks}
        self.cells: dict[str, list[Cell]] = {}
        for cell in planner.cells:
            if cell.evaluation == name:
                self.cells.setdefault(cell.model, []).append(cell)

    def plan(self) -> dict[tuple[str, str], AuditCell]:
        """Add the jobs; where the checks of each model are."""
        planted = {use.label: self.planted(use) for use in self.block.attacks}
        audits = {}
        for model in self.cells:
            trials = tuple(self.trial(model, trial) for trial in self.planner.trials(model))
            audits[self.name, model] = AuditCell(self.name, model, trials, planted)
            if self.block.audit == "full":
                jobs = tuple(self.rescue(model, trial, checks) for trial, checks in enumerate(trials))
                self.planner.cells.append(Cell(self.name, model, RESCUE, None, jobs))
        return audits

    def planted(self, use: Use) -> str:
        """The self-test of an attack, which needs no model."""
        (check,) = (check for check in self.checks if check.name == "planted")
        given = {"check": _component(check), "attack": self.attacks[use.label], "data": self.data}
        facts = {"threat": self.shared["threat"], "budget": self.budget}
        return self.planner.job(
            f"audit/{self.name}/planted/{use.label}", "audit", given, facts, timeout=self.block.timeout, weight=10
        )

    @property
    def budget(self) -> dict[str, Any] | None:
        """What an attack may cost a sample."""
        return None if self.block.budget is None else self.block.budget.model_dump()

    def trial(self, model: str, trial: int) -> dict[tuple[str, str], str]:
        """The checks of one trained model."""
        made: dict[tuple[str, str], str] = {}
        for check in self.checks:
            if not check.traits.get("model", True):
                continue
            for use in self.block.attacks if check.traits.get("each") == "attack" else [None]:
                what = self.raised(check, use)
                if what == "":
                    continue
                given = {**self.outcomes(model, trial), "check": _component(check)}
                facts = dict(self.shared)
                if use is not None:
                    facts["budget"] = self.budget
                    given["attack"] = self.attacks[use.label]
                    facts["watched"] = [each.label for each in self.block.attacks].index(use.label)
                if what is not None:
                    facts["what"] = what
                if "after" in check.traits:
                    given["earlier"] = self.planner.made_by(made[check.traits["after"], ""])
                if check.traits.get("compares"):
                    facts["attacks"] = [[use.label, _kind(use)] for use in self.block.attacks]
                if check.traits.get("others"):
                    given["others"] = self.others(model)
                label = "" if use is None else use.label
                job = f"audit/{self.name}/{model}/{trial}/{check.name}" + (f".{label}" if label else "")
                weight = 200 if "quick" not in check.traits["in"] else 20
                made[check.name, label] = self.planner.job(
                    job, "audit", given, facts, timeout=self.block.timeout, weight=weight
                )
        return made

    @staticmethod
    def raised(check: Component, use: Use | None) -> str | None:
        """Which option of an attack a check raises; empty where it has none, None where the check raises nothing."""
        if "raises" not in check.traits or use is None:
            return None
        return next((option for option in check.traits["raises"] if isinstance(use.options.get(option), int)), "")

    def outcomes(self, model: str, trial: int) -> dict[str, Input]:
        """A model, its data, and what all attacks of the evaluation left of it."""
        verified = [cell.trials[trial] for cell in self.cells[model] if cell.part != RESCUE]
        return {
            "model": self.planner.inputs.model(model, trial),
            "data": self.data,
            "outcomes": self.several(verified),
            **self.aims(verified[0]),
        }

    def aims(self, verified: Sequence[str]) -> dict[str, Input]:
        """The examples that the classes to reach are kept with, for a targeted threat."""
        if self.block.threat.target == "none":
            return {}
        return {"crafted": self.several([[self.crafted(job) for job in verified]])}

    def crafted(self, verified: str) -> str:
        """The job whose examples a job verified."""
        return str(self.planner.jobs[verified].work["examples"]["job"])

    def several(self, jobs: Sequence[Sequence[str]], *, optional: bool = False) -> Input:
        """The results of several jobs for each of several attacks; if optional, of those jobs that end well."""
        rows = [together([self.planner.made_by(job) for job in row], {}, optional=optional) for row in jobs]
        return together(rows, {"jobs": [list(row) for row in jobs]})

    def others(self, model: str) -> Input:
        """What the evaluation's attacks crafted on its other models; their names are told, so they are of the key."""
        crafted, named = [], []
        for other, cells in self.cells.items():
            if other == model:
                continue
            for cell in cells:
                if cell.part == RESCUE:
                    continue
                crafted.append([self.crafted(job) for job in cell.trials[0]])
                named.append(other)
        made = self.several(crafted, optional=True)
        return made._replace(identity=[named, made.identity], work={**made.work, "names": named})

    def made_for(self, model: str) -> list[str]:
        """All that the evaluation's attacks crafted on the first trial of a model."""
        cells = (cell for cell in self.cells[model] if cell.part != RESCUE)
        return [self.crafted(job) for cell in cells for job in cell.trials[0]]

    def rescue(self, model: str, trial: int, checks: dict[tuple[str, str], str]) -> tuple[str, ...]:
        """What is tried on a model that the audit finds masked: crafting and verifying, one job a chunk of samples."""
        found = self.several([list(checks.values())], optional=True)
        others = [other for other in self.cells if other != model]
        surrogates = [self.planner.inputs.model(other, 0) for other in others]
        proven = self.several([self.made_for(other) for other in others], optional=True)
        eyes = together([*surrogates, proven], {"models": [surrogate.work for surrogate in surrogates]}, optional=True)
        eyes = eyes._replace(identity=[others, eyes.identity], work={**eyes.work, **proven.work})
        made_with = {"version": RESCUE_VERSION, "uses": {name: ATTACKS[name].version for name in RESCUE_USES}}
        verified = []
        first, end = self.shared["start"], self.shared["stop"]
        for index, start in enumerate(range(first, end, CHUNK)):
            jobs = [cell.trials[trial][index] for cell in self.cells[model] if cell.part != RESCUE]
            given = {
                "model": self.planner.inputs.model(model, trial),
                "data": self.data,
                "outcomes": self.several([[job] for job in jobs]),
                "checks": found,
                "others": eyes,
                **self.aims(jobs[:1]),
            }
            stop = min(start + CHUNK, end)
            shared = {**self.shared, "start": start, "stop": stop, "first": first, **made_with}
            place = f"{self.name}/{model}/{trial}"
            weight = 500.0 * (stop - start) / CHUNK
            crafted = self.planner.job(
                f"rescue/{place}/{index}", "rescue", given, shared, timeout=self.block.timeout, weight=weight
            )
            judged = {"model": given["model"], "data": self.data, "examples": self.planner.made_by(crafted)}
            target = f"verify/{place}/{RESCUE}/{index}"
            verified.append(self.planner.job(target, "verify", judged, shared, timeout=self.block.timeout))
        return tuple(verified)


def _kind(use: Use) -> str:
    """What an attack is to others: ``lesser``, with one step of the gradient or none; ``gradient``, with many."""
    options = {} if use.imported else ATTACKS[use.name].options.model_fields
    if use.name in _LESSER or use.options.get("steps") == 1:
        return "lesser"
    return "gradient" if "steps" in options or use.name == "autoattack" else ""


def _component(check: Component) -> Input:
    """A check; what it uses of our attacks is part of what it is."""
    uses = {name: ATTACKS[name].version for name in check.traits.get("uses", ())}
    return Input({"name": check.name, "version": check.version, "uses": uses}, {"name": check.name})
