"""The schema of a suite file: its blocks, their keys, and what each key means.

These classes are both what a file is checked against and what the rest of the program reads.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from bench.catalogue import Options, Real, is_import_name
from bench.suite.messages import show
from bench.training.controls import Control

NAME = r"[A-Za-z0-9][A-Za-z0-9_.+-]*"
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(s|m|h)\s*")


def _seconds(value: object) -> object:
    if isinstance(value, str) and (match := _DURATION.fullmatch(value)):
        return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("expected a duration such as 90s, 10m or 2h")
    return float(value)


Duration = Annotated[
    float,
    BeforeValidator(_seconds),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^\d+(\.\d+)?\s*(s|m|h)$"}]}),
]
"""A time span, in seconds once read: ``90s``, ``10m``, ``2h`` or a number of seconds."""


class Use(Options):
    """One use of a component: its name, its label in row ids, and its options.

    In a suite: ``pgd``, or ``{pgd: {steps: 40}}``, or ``{pgd: {steps: 40}, as: pgd-40}``; the name may also be
    ``package.module:callable``.
    """

    name: str
    label: str
    options: dict[str, Any] = Field(default_factory=dict)
    version: int | None = None
    uses: tuple[str, ...] = ()

    @property
    def imported(self) -> bool:
        """Whether this is a user's own code, named by where it can be imported from."""
        return is_import_name(self.name)


def _use(value: object) -> object:
    """Read the forms a use can be written in."""
    if isinstance(value, str):
        return {"name": value, "label": _label(value)}
    if not isinstance(value, Mapping):
        raise ValueError(f"expected a name or {{name: {{options}}}}, found {show(value)}")
    names = [key for key in value if key not in ("as", "uses")]
    if len(names) != 1:
        raise ValueError(f"expected one name, as in {{pgd: {{steps: 40}}, as: pgd-40}}, found {len(names)}")
    (name,) = names
    options = value[name] if value[name] is not None else {}
    if not isinstance(options, Mapping):
        raise ValueError(f"expected options of '{name}' as a mapping, found {show(options)}")
    label = value.get("as", _label(name))
    if not isinstance(label, str) or not re.fullmatch(NAME, label):
        raise ValueError(f"expected a name of letters, digits and '-_.+' after `as:`, found {show(label)}")
    uses = value.get("uses", [])
    if not isinstance(uses, list) or not all(isinstance(each, str) and each for each in uses):
        raise ValueError(f"expected a list of paths and environment variables after `uses:`, found {show(uses)}")
    if uses and not is_import_name(name):
        raise ValueError(f"`uses:` is for code of yours; '{name}' is not named as package.module:callable")
    return {"name": name, "label": label, "options": dict(options), "uses": tuple(uses)}


def _label(name: str) -> str:
    """The default label: an import name gives its last part, since a label holds no colon."""
    return name.rpartition(":")[2] if is_import_name(name) else name


UseField = Annotated[Use, BeforeValidator(_use)]


class Training(Options):
    """The fields of `train:` that every recipe has; the others are the recipe's own options."""

    recipe: str = Field(description="name of a recipe (`bench list recipes`)")
    data: str = Field(description="name of a data set of this suite to train on")


class Model(Options):
    """A model: an architecture of ours or code of yours, and where its weights come from."""

    kind: Literal["classifier", "autoencoder", "generator", "features"] = Field(
        description="what the model is; `features` are for metrics to compare, not to be evaluated"
    )
    arch: UseField | None = Field(None, description="architecture of ours, with options (`bench list models`)")
    load: str | None = Field(
        None, description="`package.module:callable` of yours that returns the model; runs your code"
    )
    args: dict[str, Any] = Field(default_factory=dict, description="keyword arguments for `load`")
    uses: list[str] = Field(
        default_factory=list,
        description="paths and environment variables that `load` uses and that bench cannot see it use",
    )
    weights: str | None = Field(None, description="file of weights: safetensors, or a state dict saved by torch")
    train: dict[str, Any] | None = Field(None, description="how to train it: `recipe`, `data`, the recipe's options")
    samples: str | None = Field(None, description="for a generator: an .npz file or image folder of its samples")
    defenses: list[UseField] = Field(
        default_factory=list,
        description="for a classifier: what is put around the network once it has its weights, the first next to it "
        "(`bench list defenses`)",
    )
    trials: int = Field(1, ge=1, description="how many times to train it, each with its own seed")
    controls: list[Control] = Field(
        default_factory=list,
        description="for a packed GAN: what to compare packing with; each is a further model, `<name>-<control>`, with "
        "as many trials, in every evaluation that names this one",
    )


class Threat(Options):
    """The threat model of a robustness or transfer evaluation."""

    norm: Literal["linf", "l2", "l1"] = Field(description="norm of the perturbation")
    epsilon: list[Annotated[Real, Field(ge=0)]] = Field(
        min_length=1, description="radii in data units; each is a row (matrix axis)"
    )
    target: Literal["none", "next", "random", "least-likely"] = Field(
        "none",
        description="class to reach: none (untargeted), the label's successor, a random other, the least likely",
    )


class Budget(Options):
    """What one attack may cost for one sample at one epsilon; the best it found until then is its result."""

    forwards: int | None = Field(None, ge=1, description="forward passes at the most; null for any number")
    backwards: int | None = Field(None, ge=1, description="backward passes at the most; null for any number")


def _one_or_many(value: object) -> object:
    """A single epsilon stands for a list of one."""
    if isinstance(value, Mapping) and "epsilon" in value and not isinstance(value["epsilon"], list):
        return {**value, "epsilon": [value["epsilon"]]}
    return value


ThreatField = Annotated[Threat, BeforeValidator(_one_or_many)]


class Evaluation(Options):
    """Keys that every evaluation has."""

    data: str = Field(description="name of a data set of this suite")
    timeout: Duration | None = Field(None, gt=0, description="longest a single job may run: 90s, 10m, 2h")


class Robustness(Evaluation):
    """White-box attacks on classifiers, and the worst case over them for each sample."""

    kind: Literal["robustness"] = Field(description="what the evaluation does")
    models: list[str] = Field(min_length=1, description="classifiers (matrix axis)")
    threat: ThreatField = Field(description="norm, radii and goal")
    budget: Budget | None = Field(None, description="passes an attack may cost a sample at an epsilon; null for any")
    attacks: list[UseField] = Field(min_length=1, description="attacks (matrix axis; `bench list attacks`)")
    audit: Literal["off", "quick", "full"] = Field(
        "off",
        description="check whether the attacks were strong enough and whether models hide their gradients: `quick` for "
        "about a quarter of the passes of an attack such as PGD-40; `full` goes on for longer, and attacks what is "
        "masked by other means",
    )
    metrics: list[UseField] = Field(
        default_factory=lambda: [Use(name="robust_accuracy", label="robust_accuracy")],
        min_length=1,
        description="metrics (`bench list metrics`)",
    )


class Transfer(Evaluation):
    """Examples crafted on surrogates, tried on victims."""

    kind: Literal["transfer"] = Field(description="what the evaluation does")
    surrogates: list[str] = Field(min_length=1, description="classifiers to craft on (matrix axis)")
    victims: list[str] = Field(min_length=1, description="classifiers to try on (matrix axis)")
    threat: ThreatField = Field(description="norm, radii and goal")
    budget: Budget | None = Field(None, description="passes an attack may cost a sample at an epsilon; null for any")
    attacks: list[UseField] = Field(min_length=1, description="attacks (matrix axis)")
    metrics: list[UseField] = Field(
        default_factory=lambda: [Use(name="success_rate", label="success_rate")],
        min_length=1,
        description="metrics (`bench list metrics`)",
    )


class Reconstruction(Evaluation):
    """Attacks on autoencoders: make one image reconstruct as another."""

    kind: Literal["reconstruction"] = Field(description="what the evaluation does")
    models: list[str] = Field(min_length=1, description="autoencoders (matrix axis)")
    attacks: list[UseField] = Field(min_length=1, description="attacks on autoencoders (matrix axis)")
    pairs: int = Field(20, ge=1, description="pairs of an image and a target of another class")


class Generation(Evaluation):
    """What share of the data a generator has learned."""

    kind: Literal["generation"] = Field(description="what the evaluation does")
    models: list[str] = Field(min_length=1, description="generators or VAEs (matrix axis)")
    samples: int = Field(2500, ge=2, description="samples to draw from each model, from noise all models share")
    metrics: list[UseField] = Field(min_length=1, description="metrics of sets of samples (matrix axis)")


AnyEvaluation = Robustness | Transfer | Reconstruction | Generation
EVALUATIONS: dict[str, type[AnyEvaluation]] = {
    "robustness": Robustness,
    "transfer": Transfer,
    "reconstruction": Reconstruction,
    "generation": Generation,
}


class Expectation(Options):
    """A figure that a run must reach, or a verdict; a miss ends the run with exit code 1."""

    row: str = Field(description="id of a row")
    min: Real | None = Field(None, description="smallest value that passes")
    max: Real | None = Field(None, description="largest value that passes")
    equals: Real | None = Field(None, description="the value, within `tolerance`")
    tolerance: Real = Field(0.0, ge=0, description="how far from `equals` still passes")
    model_verdict: list[Literal["trusted", "suspect", "masked"]] = Field(
        default_factory=list,
        description="verdicts on the model that pass, in an evaluation that is audited; empty: any",
    )
    row_verdict: list[Literal["adequate", "too-weak", "broken-attack"]] = Field(
        default_factory=list, description="verdicts on the row that pass, in an evaluation that is audited; empty: any"
    )

    @property
    def of_figure(self) -> bool:
        """Whether it says anything of the row's figure."""
        return any(value is not None for value in (self.min, self.max, self.equals))

    @property
    def of_verdict(self) -> bool:
        """Whether it says anything of the verdicts."""
        return bool(self.model_verdict or self.row_verdict)


class Quote(Options):
    """A figure a source states, shown beside ours."""

    row: str = Field(description="id of a row")
    value: Real = Field(description="the figure, in the row's units")
    plus_minus: Real | None = Field(None, ge=0, description="its stated uncertainty")
    source: str = Field(min_length=1, description="paper and table")
    copied_from: str | None = Field(
        None, min_length=1, description="where the source has the figure from, if it did not measure it itself"
    )
    only: bool = Field(
        False, description="the suite has no model of that name: the row holds the quoted figure and none of ours"
    )


class GatedRows(Options):
    """Rows that `bench gate` compares with a baseline, and what it accepts of them."""

    match: str = Field(min_length=1, description="glob over row ids, such as `whitebox/*/worst-case/*`")
    tolerance: Real = Field(0.0, ge=0, description="largest drop that is accepted, in the rows' units")
    better: Literal["higher", "lower"] | None = Field(
        None, description="which direction is better, for metrics of yours, of which bench does not know it"
    )
    compare: Literal["auto", "exact", "paired"] = Field(
        "auto",
        description="`exact`: no sample may get worse; `paired`: no more than chance explains; `auto`: exact where "
        "nothing differs that a figure may depend on, paired elsewhere",
    )


class Gate(Options):
    """What `bench gate` compares a run by."""

    level: Real = Field(
        0.01, gt=0, lt=0.5, description="largest probability of calling chance a regression, over all rows together"
    )
    passes: Real | None = Field(
        0.1, ge=0, description="share by which the passes of a gated row may grow; null for any"
    )
    memory: Real | None = Field(
        0.25,
        ge=0,
        description="share by which the memory of its jobs may grow on a GPU, or on a CPU of the same kind with the "
        "same torch and threads; null for any",
    )
    rows: list[GatedRows] = Field(
        default_factory=list,
        description="rows to compare, the first entry that matches counts; when empty, the worst case of each model",
    )


class Header(Options):
    """The top-level keys of a suite file."""

    suite: str = Field(pattern=f"^{NAME}$", description="name of the suite")
    description: str = Field("", description="what the suite is for")
    seed: int = Field(0, ge=0, description="seed every random choice derives from")
    data: dict[str, dict[str, Any]] = Field(min_length=1, description="data sets by name: `source` and its options")
    models: dict[str, dict[str, Any]] = Field(default_factory=dict, description="models by name")
    evaluations: dict[str, dict[str, Any]] = Field(default_factory=dict, description="evaluations by name")
    expect: list[dict[str, Any]] = Field(default_factory=list, description="figures and verdicts the run must reach")
    quoted: list[dict[str, Any]] = Field(default_factory=list, description="figures from papers")
    intervals: Literal["wilson", "clopper-pearson"] = Field(
        "wilson", description="intervals of shares: Wilson's, or the exact ones, which are wider and a guarantee"
    )
    gate: Gate = Field(default_factory=Gate, description="what `bench gate` compares")
