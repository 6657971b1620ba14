"""Is this run worse than that one? Row by row, sample by sample, with an answer that says how sure it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from bench.engine.environment import MACHINE
from bench.results.joining import Answer, Comparison, Pair, pair_up
from bench.results.paired import Flips, flips, holm, smallest_drop, student, welch
from bench.results.row import ADEQUATE, BROKEN, MASKED, RANK, SUSPECT, TOO_WEAK, UNAUDITED
from bench.results.snapshot import SEVERAL, UNKNOWN, Gated, Snapshot

UNCOMPARED: tuple[Answer, ...] = ("missing", "not-measured", "different-data", "incomparable")
_MORE_STANDING = 0.01
"""Share of samples that stand now and fell before above which a row is dearer for a good reason."""
_ALIKE = 0.98
"""Share of equal outcomes above which a row that is gone and one that is new are taken for the same, renamed."""


@dataclass(frozen=True)
class Gate:
    """What a gate says of a run.

    Attributes:
        suite: Name of the suite.
        rows: What came of each row.
        notes: What holds for the whole, one sentence each.
    """

    suite: str
    rows: tuple[Comparison, ...]
    notes: tuple[str, ...] = field(default=())

    def count(self, *answers: Answer) -> int:
        """How many rows have one of these answers."""
        return sum(row.answer in answers for row in self.rows)

    @property
    def compared(self) -> int:
        """How many rows were compared."""
        return self.count("pass", "improved", "regression", "inconclusive")

    def exit_code(self, *, inconclusive_fails: bool = False) -> int:
        """0 pass; 1 a regression; 3 something could not be compared, or nothing was; 4 inconclusive, if that fails."""
        if self.count("regression"):
            return 1
        if self.count(*UNCOMPARED) or not self.compared:
            return 3
        return 4 if inconclusive_fails and self.count("inconclusive") else 0


def gate(now: Snapshot, before: Snapshot, *, whole: bool = False) -> Gate:
    """Compare a run with a baseline.

    Args:
        now: The run. It says which rows are gated, and how.
        before: The baseline, or another run.
        whole: Compare every row that both have, and not only those that are gated.

    A row is compared *exactly* where nothing differs that its figure may depend on: CPU, processor, torch, threads, the
    samples, the weights of the model, the attack and its seed, and all code behind it is of this package. Then any
    sample lost is a regression, unless the tolerance allows it. Elsewhere a drop above the tolerance is a regression if
    it is no chance: one-sided exact McNemar test on the samples that flipped (the sign test, for figures that are not
    yes or no), Holm's correction over all rows, at the suite's level. A drop that may be chance is inconclusive.
    """
    rules = dict(now.gated)
    if whole:
        rules = {name: now.gated.get(name, Gated()) for name, row in now.rows.items() if row.direction != "neither"}
    answers: dict[str, Comparison] = {}
    pairs: list[Pair] = []
    for row, rule in rules.items():
        pair = pair_up(row, rule, now, before)
        if isinstance(pair, Comparison):
            answers[row] = pair
        else:
            pairs.append(pair)
    gone = [
        row for row in (before.gated if not whole else before.rows) if row not in rules and not _useless(row, before)
    ]
    of_other_data = {pair.row for pair in pairs if pair.other_data}
    for comparison in _decided(pairs, now, before):
        judged = _with_verdicts(_with_code(comparison, now, before), now, before)
        if comparison.row in of_other_data:
            judged = _with_data(judged)
        answers[comparison.row] = _with_cost(judged, now, before) if not whole else judged
    answers = {row: answers[row] for row in rules}
    if whole:
        answers = {row: _of_second(each) for row, each in answers.items()}
    new = [row for row, comparison in answers.items() if comparison.answer == "new"]
    for row in gone:
        answers[row] = _gone(row, new, now, before) if not whole else _of_first(row, before)
    return Gate(now.suite, tuple(answers.values()), tuple(_notes(now, before)))


def _of_second(comparison: Comparison) -> Comparison:
    """A row of a comparison of two runs, where no baseline has to be kept."""
    return replace(comparison, sentence="only the second run has it") if comparison.answer == "new" else comparison


def _of_first(row: str, before: Snapshot) -> Comparison:
    return Comparison(row, "missing", "only the first run has it", before.rows[row].value)


def _notes(now: Snapshot, before: Snapshot) -> list[str]:
    """What a reader must know of the two runs."""
    notes = []
    if now.device != before.device:
        notes.append(
            f"the run is from {now.device}, the baseline from {before.device}: rows are compared by statistics"
        )
    other = _differing(now, before)
    if now.device == before.device and other:
        facts = ", ".join(
            f"{key} {before.machine.get(key) or UNKNOWN} then, {now.machine.get(key) or UNKNOWN} now" for key in other
        )
        notes.append(f"another machine, so that rows are compared by statistics, but for `compare: exact`: {facts}")
    loosened = [row for row, rule in now.gated.items() if row in before.gated and rule != before.gated[row]]
    if loosened:
        notes.append(
            f"the suite compares {len(loosened)} rows by another rule than the baseline's, the first is {loosened[0]}"
        )
    for name, here, then in (
        ("level", now.level, before.level), ("passes", now.passes, before.passes), ("memory", now.memory, before.memory)
    ):  # fmt: skip
        if here != then:
            said = ["any" if value is None else f"{value:g}" for value in (here, then)]
            notes.append(f"`gate.{name}` of the suite is {said[0]} and was {said[1]} when the baseline was written")
    doubts: dict[str, list[str]] = {}
    for row in now.gated:
        for phrase in now.rows[row].untracked:
            doubts.setdefault(phrase, []).append(row)
    for phrase, rows in doubts.items():
        more = f" and {len(rows) - 1} more" if len(rows) > 1 else ""
        notes.append(f"{phrase}, which cannot be tracked: {rows[0]}{more}; say what it uses with `uses:`")
    if now.origin.get("trust"):
        notes.append("stored results of code that cannot be tracked were believed (--trust)")
    if now.origin.get("seed") != before.origin.get("seed"):
        notes.append(f"the run has seed {now.origin.get('seed')}, the baseline {before.origin.get('seed')}")
    return notes


def _exact(pair: Pair, now: Snapshot, before: Snapshot) -> bool:
    """Whether the two figures would be equal if nothing had been changed."""
    if pair.rule.compare != "auto":
        return pair.rule.compare == "exact"
    alike = bool(pair.now.whole) and pair.now.whole == pair.before.whole and pair.now.ours and pair.before.ours
    return _alike_on_cpus(now, before) and alike and pair.now.trials == pair.before.trials


def _unexplained(pair: Pair, now: Snapshot, before: Snapshot) -> bool:
    """Whether a change has no reason at all, whatever the suite says of how to compare."""
    return _exact(replace(pair, rule=replace(pair.rule, compare="auto")), now, before)


def _alike_on_cpus(now: Snapshot, before: Snapshot) -> bool:
    """Whether two runs are from CPUs, and nothing is known to differ there."""
    return now.device == before.device == "cpu" and not _differing(now, before)


def _differing(now: Snapshot, before: Snapshot) -> list[str]:
    """What differs between the machines of two runs."""
    pairs = {key: (str(now.machine.get(key, UNKNOWN)), str(before.machine.get(key, UNKNOWN))) for key in MACHINE}
    return [key for key, (here, then) in pairs.items() if here != then or here == UNKNOWN or SEVERAL in here]


def _decided(pairs: Sequence[Pair], now: Snapshot, before: Snapshot) -> list[Comparison]:
    """The answers to rows that both runs have; chance is judged over all of them together."""
    exact = {pair.row: _exact(pair, now, before) for pair in pairs}
    tested = [pair for pair in pairs if not exact[pair.row]]
    chances = {pair.row: _chances(pair) for pair in tested}
    adjusted = {
        which: dict(zip(chances, holm([chances[row][which] for row in chances]), strict=True)) for which in (0, 1)
    }
    answers = []
    for pair in pairs:
        if exact[pair.row]:
            answers.append(_decide_exactly(pair, unexplained=_unexplained(pair, now, before)))
        else:
            answers.append(_decide(pair, adjusted[0][pair.row], adjusted[1][pair.row], now.level, len(tested)))
    return answers


def _chances(pair: Pair) -> tuple[float, float]:
    """Probabilities of so large a drop, and of so large a gain, by chance; of a single trial nothing is known."""
    if pair.trials is None:
        found = flips(pair.worse)
        return found.p_drop, found.p_gain
    if pair.ids:
        return student(*pair.trials, noise=pair.noise, higher_is_better=pair.now.direction != "lower")
    if min(map(len, pair.trials)) < 2:
        return 1.0, 1.0
    return welch(*pair.trials, higher_is_better=pair.now.direction != "lower")


def _decide_exactly(pair: Pair, *, unexplained: bool) -> Comparison:
    found = flips(pair.worse)
    tolerance = pair.rule.tolerance
    lost, gained = _names(pair, 1), _names(pair, -1)
    answer: Answer
    if found.lost == found.gained == 0:
        answer, sentence = "pass", f"equal in all {found.n} outcomes" if pair.trials is None else "equal"
    elif found.lost and (tolerance == 0 or found.drop > tolerance):
        answer = "regression"
        why = "(same weights, data, processor and torch)" if unexplained else "by the suite (`compare: exact`)"
        changed = f"{found.lost} of {found.n} lost, {found.gained} gained" if pair.ids else _changed(pair, found)
        sentence = f"{changed}, where nothing may change {why}"
    elif unexplained and (tolerance == 0 or -found.drop > tolerance):
        answer = "incomparable"
        sentence = (
            f"{_changed(pair, found)}, though nothing it depends on has changed: code does another thing than before "
            "under the same version, as a weaker attack would; look for what changed, and write the baseline anew if "
            "that is meant"
        )
    else:
        answer = "improved" if found.drop < 0 else "pass"
        sentence = f"{_changed(pair, found)}" + (", within the tolerance" if found.lost else "")
    return _comparison(pair, answer, sentence, "exact", found, lost, gained)


def _decide(pair: Pair, p_drop: float, p_gain: float, level: float, rows: int) -> Comparison:
    found = flips(pair.worse)
    if pair.trials is not None and pair.ids:
        then, here = (float(trials.mean()) for trials in pair.trials)
        found = replace(found, drop=here - then if pair.now.direction == "lower" else then - here)
    tolerance, how = pair.rule.tolerance, "paired" if pair.trials is None else "trials"
    over = f" over {rows} rows" if rows > 1 else ""
    answer: Answer
    if found.drop > tolerance + 1e-12:
        answer = "regression" if p_drop <= level else "inconclusive"
        sentence = f"{_changed(pair, found)}; {_chance(p_drop)}{over}"
        if answer == "inconclusive":
            sentence += f", which may be chance{_could_see(pair, found, level / rows)}"
    elif p_gain <= level and found.drop < 0:
        answer, sentence = "improved", f"{_changed(pair, found)}; {_chance(p_gain)}{over}"
    else:
        answer = "pass"
        sentence = _changed(pair, found) + _could_see(pair, found, level / rows)
    return _comparison(pair, answer, sentence, how, found, _names(pair, 1), _names(pair, -1), p_drop)


def _comparison(
    pair: Pair,
    answer: Answer,
    sentence: str,
    how: str,
    found: Flips,
    lost: tuple[str, ...],
    gained: tuple[str, ...],
    p: float = math.nan,
) -> Comparison:
    return Comparison(pair.row, answer, sentence + pair.note, *pair.figures, how, found.n, lost, gained, p)


def _chance(p: float) -> str:
    """A probability in words; Holm's are rounded to twelve places."""
    return f"p = {p:.2g}" if p >= 1e-11 else "p < 1e-11"


def _names(pair: Pair, sign: int) -> tuple[str, ...]:
    """The samples that are worse (1) or better (-1)."""
    return tuple(pair.ids[place] for place in np.flatnonzero(pair.worse * sign > 0).tolist() if pair.ids)


def _changed(pair: Pair, found: Flips) -> str:
    """What changed, in words."""
    if pair.trials is not None:
        then, here = map(len, pair.trials)
        counts = f"{here} trials" if then == here else f"{then} then, {here} now"
        other = ", of other models" if pair.ids else ""
        return f"{pair.figures[0]:.4g} before, {pair.figures[1]:.4g} now ({counts}{other})"
    if found.lost == found.gained == 0:
        return f"no outcome of {found.n} changed"
    return f"{found.lost} of {found.n} lost, {found.gained} gained"


def _could_see(pair: Pair, found: Flips, level: float) -> str:
    """The smallest drop that would have been told from chance."""
    if pair.trials is not None:
        enough = pair.ids or min(map(len, pair.trials)) > 1
        return "" if enough else "; one trial says nothing of chance, give the model more"
    smallest = smallest_drop(found.gained, found.n, level)
    if math.isnan(smallest):
        return f"; {found.n} samples are too few to tell any drop from chance"
    return f"; the smallest drop that could have been told from chance is {100 * smallest:.2g} % of the samples"


def _useless(row: str, before: Snapshot) -> bool:
    """Whether a row of a whole comparison has no better direction."""
    return row in before.rows and before.rows[row].direction == "neither"


def _with_verdicts(comparison: Comparison, now: Snapshot, before: Snapshot) -> Comparison:
    """The answer with what the audits say: a figure is no better if it cannot be believed any more."""
    found, earlier = now.rows[comparison.row], before.rows[comparison.row]
    if found.row_verdict == BROKEN:
        sentence = f"its attack is broken now, by the audit, and was {earlier.row_verdict}; {comparison.sentence}"
        return replace(comparison, answer="incomparable", sentence=sentence)
    if found.model_verdict == UNAUDITED != earlier.model_verdict:
        sentence = (
            f"nobody audited it now, and the model was {earlier.model_verdict} before: put `audit:` back, or write the "
            f"baseline anew with `bench baseline`; {comparison.sentence}"
        )
        return replace(comparison, answer="incomparable", sentence=sentence)
    audited = UNAUDITED not in (found.model_verdict, earlier.model_verdict)
    if audited and RANK[found.model_verdict] > RANK[earlier.model_verdict]:
        sentence = f"the model is {found.model_verdict} now and was {earlier.model_verdict}; {comparison.sentence}"
        return replace(comparison, answer="regression", sentence=sentence)
    if comparison.answer in ("regression", "inconclusive") and earlier.model_verdict in (SUSPECT, MASKED):
        sentence = (
            f"{comparison.sentence}; the model was {earlier.model_verdict} before, so that its figure said little"
        )
        return replace(comparison, sentence=sentence)
    if comparison.answer == "improved" and found.model_verdict in (SUSPECT, MASKED):
        sentence = f"{comparison.sentence}, which says little of a model that is {found.model_verdict}"
        return replace(comparison, answer="pass", sentence=sentence)
    if comparison.answer == "improved" and found.row_verdict == TOO_WEAK and earlier.row_verdict == ADEQUATE:
        sentence = (
            f"{comparison.sentence}, which says little: by the audit the attack is too weak now, and was adequate"
        )
        return replace(comparison, answer="pass", sentence=sentence)
    return comparison


def _with_code(comparison: Comparison, now: Snapshot, before: Snapshot) -> Comparison:
    """The answer where a user's attack or metric has changed: worse is worse, and better may be a weaker attack."""
    found, earlier = now.rows[comparison.row], before.rows[comparison.row]
    if found.code == earlier.code:
        return comparison
    sentence = f"{comparison.sentence}; the code of its attack or metric, or something it uses, has changed"
    if comparison.answer == "improved":
        sentence += ": if that is meant, write the baseline anew with `bench baseline`"
        return replace(comparison, answer="incomparable", sentence=sentence)
    return replace(comparison, sentence=sentence)


def _with_data(comparison: Comparison) -> Comparison:
    """The answer where the samples have other values under the same names: only a drop can be told."""
    sentence = f"its data has changed under the same names of samples; {comparison.sentence}"
    if comparison.answer == "regression":
        return replace(comparison, sentence=sentence)
    sentence += "; if that is meant, write the baseline anew with `bench baseline`"
    return replace(comparison, answer="different-data", sentence=sentence)


def _with_cost(comparison: Comparison, now: Snapshot, before: Snapshot) -> Comparison:
    """The answer with what its row costs: passes and memory, which are counted, and not seconds."""
    found, earlier = now.rows[comparison.row], before.rows[comparison.row]
    if len(comparison.gained) > _MORE_STANDING * comparison.n:
        return comparison  # what stands costs an attack more than what falls
    forwards, backwards = (_passes(comparison.row, kind, now, before) for kind in ("forwards", "backwards"))
    # a CPU's is the whole process's, libraries included
    by_memory = now.device == before.device and (now.device == "cuda" or _alike_on_cpus(now, before))
    complaints = []
    for name, share, then, here in (
        ("forward passes a sample", now.passes, *forwards),
        ("backward passes a sample", now.passes, *backwards),
        ("MiB of memory", now.memory if by_memory else None, earlier.memory, found.memory),
    ):
        if share is not None and here > then * (1 + share) + 0.5:
            growth = f" ({here / then - 1:+.0%}, allowed {share:+.0%})" if then else ""
            complaints.append(f"it needs {here:,.4g} {name}, {then:,.4g} before{growth}")
    if not complaints:
        return comparison
    return replace(comparison, answer="regression", sentence="; ".join([*complaints, comparison.sentence]))


def _passes(row: str, kind: str, now: Snapshot, before: Snapshot) -> tuple[float, float]:
    """Passes a sample before and now, over all radii of the row's attack that both runs gate.

    One by one they say little: an attack begins at the largest radius, and what falls there is attacked again below.
    """
    place = row.split("/")
    alike = [
        name for name in now.gated
        if name in before.rows and [*name.split("/")[:3], name.split("/")[-1]] == [*place[:3], place[-1]]
    ]  # fmt: skip
    sums = [sum(getattr(run.rows[name], kind) for name in alike) for run in (before, now)]
    return sums[0], sums[1]


def _gone(row: str, new: Sequence[str], now: Snapshot, before: Snapshot) -> Comparison:
    """A row of the baseline that the run has not; where a new row has its outcomes, that it was renamed."""
    figure = before.rows[row].value if row in before.rows else math.nan
    for candidate in new:
        if row in before.rows and _same_outcomes(row, candidate, now, before):
            sentence = (
                f"it is gone, and '{candidate}' has the same outcomes: if it was renamed, write the baseline anew "
                f"with `bench baseline`"
            )
            return Comparison(row, "missing", sentence, figure)
    what = "does not gate it any more" if row in now.rows else "has no such row any more"
    sentence = (
        f"it is in the baseline and the suite {what}; if that is meant, write the baseline anew with `bench baseline`"
    )
    return Comparison(row, "missing", sentence, figure)


def _same_outcomes(gone: str, new: str, now: Snapshot, before: Snapshot) -> bool:
    if now.rows[new].data != before.rows[gone].data or now.ids(new) != before.ids(gone):
        return False
    first, after = before.values(gone), now.values(new)
    if len(first) != len(after) or any(a.shape != b.shape for a, b in zip(first, after, strict=True)):
        return False
    equal = np.concatenate(first) == np.concatenate(after)
    return bool(equal.mean() >= _ALIKE)
