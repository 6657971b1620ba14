"""What is said of each kind of mistake in a suite, word for word, and where."""

# ruff: noqa: E501 - sentences are written whole, so that they can be searched for

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench.suite import names
from bench.suite.check import check

Mistakes = Callable[..., list[str]]

SEVERAL = """\
suite: several mistakes
sed: 3
data:
  digits: {source: mnits, split: test}
  test: {source: mnist, take: -1}
models:
  cnn: {kind: classifier, arch: cnn-smal, train: {recipe: standrd, data: tset}}
  gan: {kind: generator, arch: gan-grid}
evaluations:
  whitebox:
    kind: robustness
    models: [cn, gan]
    data: digit
    threat: {norm: l0, epsilon: [-0.1, 1/0]}
    attacks: [fgms, {pgd: {step: 4}}, {pgd: {steps: 0}, as: pgd-0}]
    metrics: [robust_acuracy, modes]
    timeout: soon
  empty: {kind: robustness, models: [], data: test, threat: {norm: linf, epsilon: []}, attacks: []}
expect:
  - {row: whitebox/cnn/clean/none/accuracy}
  - {row: nowhere/cnn/clean/none/accuracy, min: high}
quoted:
  - {row: whitebox/cnn/clean/none/accuracy, value: 0.9}
"""


def test_all_mistakes_of_a_suite_are_told_at_once_with_their_places(mistakes: Mistakes) -> None:
    assert mistakes(SEVERAL) == [
        "s.yaml:1:8: suite: expected a name of letters, digits and '-_.+' that begins with a letter or digit, "
        "found 'several mistakes'",
        "s.yaml:2:1: sed: unknown key 'sed'; did you mean 'seed'?",
        "s.yaml:4:20: data.digits.source: unknown data source 'mnits'; did you mean 'mnist'?",
        "s.yaml:5:31: data.test.take: expected a number of at least 1, found -1",
        "s.yaml:7:33: models.cnn.arch: unknown architecture 'cnn-smal'; did you mean 'cnn-small'?",
        "s.yaml:7:59: models.cnn.train.recipe: unknown recipe 'standrd'; did you mean 'standard'?",
        "s.yaml:7:74: models.cnn.train.data: unknown data set 'tset'; did you mean 'test'?",
        "s.yaml:8:8: models.gan: an architecture of ours needs `train:` or `weights:`, found neither",
        "s.yaml:12:14: evaluations.whitebox.models.0: unknown model 'cn'; did you mean 'cnn'?",
        "s.yaml:12:18: evaluations.whitebox.models.1: a robustness evaluation needs a classifier; 'gan' is a generator",
        "s.yaml:13:11: evaluations.whitebox.data: unknown data set 'digit'; did you mean 'digits'?",
        "s.yaml:14:20: evaluations.whitebox.threat.norm: expected 'linf', 'l2' or 'l1', found 'l0'",
        "s.yaml:14:34: evaluations.whitebox.threat.epsilon.0: expected a number of at least 0, found -0.1",
        "s.yaml:14:40: evaluations.whitebox.threat.epsilon.1: '1/0' divides by zero",
        "s.yaml:15:15: evaluations.whitebox.attacks.0: unknown attack 'fgms'; did you mean 'fgsm'?",
        "s.yaml:15:28: evaluations.whitebox.attacks.1.pgd.step: unknown key 'step'; did you mean 'steps'?",
        "s.yaml:15:53: evaluations.whitebox.attacks.2.pgd.steps: expected a number of at least 1, found 0",
        "s.yaml:16:15: evaluations.whitebox.metrics.0: unknown metric 'robust_acuracy'; did you mean 'robust_accuracy'?",
        "s.yaml:16:31: evaluations.whitebox.metrics.1: 'modes' belongs to generation evaluations, not to robustness",
        "s.yaml:17:14: evaluations.whitebox.timeout: expected a duration such as 90s, 10m or 2h, found 'soon'",
        "s.yaml:18:37: evaluations.empty.models: expected at least 1 entry, found an empty list",
        "s.yaml:18:83: evaluations.empty.threat.epsilon: expected at least 1 entry, found an empty list",
        "s.yaml:18:97: evaluations.empty.attacks: expected at least 1 entry, found an empty list",
        "s.yaml:20:5: expect.0: expected `min`, `max`, `equals`, `model_verdict` or `row_verdict`, found none of them",
        "s.yaml:21:11: expect.1.row: no row 'nowhere/cnn/clean/none/accuracy'; the suite has no evaluations",
        "s.yaml:21:49: expect.1.min: expected a number, found 'high'",
        "s.yaml:23:5: quoted.0: the key 'source' is missing",
    ]


NAME = "expected a name of letters, digits and '-_.+'"
KINDS = "expected `kind:` with one of robustness, transfer, reconstruction, generation"
SOURCES = "expected `source:` with one of mnist, mnist-classes, stacked-mnist, grid25, ring8, grid25-wgan, ring8-wgan, ring8-unrolled, npz, folder, torchvision or package.module:callable"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("seed: 3", "seed: 1.5", "3:7: seed: expected a whole number, found 1.5"),
        ("seed: 3", "seed: -1", "3:7: seed: expected a number of at least 0, found -1"),
        ("suite: example", "suite: 2024", "1:8: suite: expected a text, found 2024; put it in quotes"),
        ("suite: example", f"suite: {'x' * 41}", "1:8: suite: expected a name of at most 40 characters, found 41"),
        ("take: 40", "take: '40'", "5:46: data.digits.take: expected a whole number, found '40'; take it out of the quotes"),
        ("take: 40", "take: true", "5:46: data.digits.take: expected a whole number, found true"),
        ("{source: mnist, split: test, take: 40}", "{split: test}", f"5:11: data.digits: {SOURCES}"),
        ("source: npz", "source: 5", f"8:18: data.mine.source: {SOURCES}, found 5"),
        ("range: [-1, 1]", "range: [1, 1]", "8:57: data.mine.range: expected [smallest, largest], found [1, 1]"),
        ("path: mine.npz", "path: ''", "8:29: data.mine.path: expected a path, found ''"),
        ("size: [8, 8]", "size: [8]", "9:48: data.folder.size: expected more entries, found a list of 1"),
        ("kind: classifier, arch: soft", "kind: clasifier, arch: soft",
         "12:19: models.softmax.kind: expected 'classifier', 'autoencoder', 'generator' or 'features', found 'clasifier'; "
         "did you mean 'classifier'?"),
        ("arch: softmax", "arch: vae", "12:37: models.softmax.arch: 'vae' is an autoencoder, but `kind` says classifier"),
        ("arch: softmax", 'arch: softmax, load: "a:b"',
         "12:12: models.softmax: expected one of `arch`, `load` and `samples`, found `arch` and `load`"),
        ("recipe: standard", "recipe: autoencoding",
         "12:62: models.softmax.train.recipe: 'autoencoding' trains an autoencoder, but `kind` says classifier"),
        ("epochs: 1}", "epochs: 1}, weights: x.pt", "12:104: models.softmax.weights: expected either `train` or `weights`, found both"),
        ("train: {recipe: standard, data: train-digits, epochs: 1}", "train: standard",
         "12:53: models.softmax.train: expected a mapping, found 'standard'"),
        ("epsilon: 8/255, norm", "norm", "16:5: models.wide.train: the key 'epsilon' is missing"),
        ("mypackage.models:build", "mypackage.models.build",
         "17:34: models.mine.load: expected package.module:callable, found 'mypackage.models.build'"),
        ('"mypackage.models:build"', '""', "17:34: models.mine.load: expected package.module:callable, found ''"),
        ("samples: drawn.npz", 'samples: ""', "20:37: models.drawn.samples: expected a path, found ''"),
        ("logit-scale]", "logitscale]", "12:144: models.softmax.defenses.1: unknown defense 'logitscale'; did you mean 'logit-scale'?"),
        ("levels: 4", "levels: 1",
         "12:139: models.softmax.defenses.0.quantisation.levels: expected a number of at least 2, found 1"),
        ("data: train-digits}}\n", "data: train-digits}, defenses: [thermometer]}\n",
         "18:90: models.vae.defenses: only a classifier can have defenses; this is an autoencoder"),
        (", min: 0.1, max: 1", ", model_verdict: [trusted]",
         "51:72: expect.0.model_verdict: 'whitebox' is not audited; add `audit: quick` to it"),
        ("trials: 2", "trials: true", "19:50: models.gan.trials: expected a whole number, found true"),
        ("samples: drawn.npz", "samples: drawn.npz, trials: 2",
         "20:56: models.drawn.trials: only a model that is trained here can have more than one trial"),
        ("  pictures: {kind", "  ä: {kind", f"49:3: evaluations.ä: {NAME} that begins with a letter or digit (it is part of row ids)"),
        ("  pictures: {kind", "  real-data: {kind",
         "49:3: evaluations.real-data: 'real-data' is the name of a row of its own; choose another"),
        ("kind: robustness", "kind: robustnes", f"23:11: evaluations.whitebox.kind: {KINDS}, found 'robustnes'; did you mean 'robustness'?"),
        ("kind: robustness", "kind: [robustness]", f"23:11: evaluations.whitebox.kind: {KINDS}, found a list of 1"),
        ("kind: robustness", "description: x", f"23:5: evaluations.whitebox: {KINDS}"),
        ("attacks: [pgd]", "attacks: pgd", "36:14: evaluations.transfer.attacks: expected a list, found 'pgd'; write [pgd]"),
        ("attacks: [pgd]", "attacks: [pgd, {pgd: {steps: 3}}]",
         "36:20: evaluations.transfer.attacks.1: the attack 'pgd' is listed twice; give one of them another name with `as:`"),
        ("[softmax, wide, mine]", "[softmax, wide, mine, wide]",
         "24:35: evaluations.whitebox.models.3: the model 'wide' is listed twice"),
        ("as: pgd-4", "as: fgsm",
         "27:21: evaluations.whitebox.attacks.1: the attack 'fgsm' is listed twice; give one of them another name with `as:`"),
        ("as: pgd-4", "as: pgd/4", f"27:21: evaluations.whitebox.attacks.1: {NAME} after `as:`, found 'pgd/4'"),
        ("as: pgd-4", f"as: {'x' * 41}", "27:21: evaluations.whitebox.attacks.1: expected a name of at most 40 characters, found 41"),
        ("as: pgd-4", "as: worst-case",
         "27:21: evaluations.whitebox.attacks.1: 'worst-case' is the name of a row of its own; choose another with `as:`"),
        ("mypackage.attacks:nudge", "mypackage.attacks:_nudge",
         "27:68: evaluations.whitebox.attacks.2: '_nudge' cannot be part of a row id; give it another name with `as:`"),
        ("{pgd: {steps: 4, step_size: 1e-3}, as: pgd-4}", "{pgd: {}, fgsm: {}}",
         "27:21: evaluations.whitebox.attacks.1: expected one name, as in {pgd: {steps: 40}, as: pgd-40}, found 2"),
        ("attacks: [pgd]", "attacks: [latent]",
         "36:15: evaluations.transfer.attacks.0: 'latent' attacks an autoencoder; a transfer evaluation has classifiers"),
        ("{norm: l2, epsilon: 2}", "{norm: l2, epsilon: [2, 2.0001]}",
         "35:37: evaluations.transfer.threat.epsilon.1: 2.0 and 2.0001 both read '2' in row ids; keep one"),
        ("trade_off: [0.1, 10]", "trade_off: [0.1, 0.1]",
         "41:42: evaluations.codes.attacks.0.latent.trade_off.1: 0.1 and 0.1 both read '0.1' in row ids; keep one"),
        ("8/255], target", "0.5/255], target",
         "26:41: evaluations.whitebox.threat.epsilon.1: expected a number, found '0.5/255'; a ratio is of whole numbers, such as 8/255"),
        ("timeout: 10m", "timeout: 0", "29:14: evaluations.whitebox.timeout: expected a number above 0, found 0"),
        ("metrics: [modes, frechet]", "metrics: [modes, {frechet: , as: high_quality}]",
         "48:22: evaluations.modes.metrics.1: 'modes' and 'high_quality' both give the row 'high_quality'; keep one of them"),
        ("metrics: [{frechet", "metrics: [modes, {frechet",
         "49:84: evaluations.pictures.metrics.0: 'modes' needs data whose modes are known (grid25, ring8, grid25-wgan, ring8-wgan, ring8-unrolled)"),
        ("features: wide", "features: vae",
         "49:105: evaluations.pictures.metrics.0.frechet.features: features come from a classifier or a network of features; 'vae' is an autoencoder"),
        (", min: 0.1, max: 1", "", "51:5: expect.0: expected `min`, `max`, `equals`, `model_verdict` or `row_verdict`, found none of them"),
        ("min: 0.1, max: 1", "min: 1, max: 0.1", "51:77: expect.0.min: `min` 1 is above `max` 0.1, so that nothing can pass"),
        ("equals: 25, tol", "min: 25, tol", "52:48: expect.1.tolerance: `tolerance` goes with `equals`, which is missing"),
        ("row: modes/gan/grid/modes", "row: modes/gam/grid/modes",
         "54:11: quoted.0.row: no row 'modes/gam/grid/modes'; did you mean 'modes/gan/grid/modes'?"),
        ('"Lin et al. 2018, Table 1"', "''", "54:71: quoted.0.source: expected a text that is not empty, found ''"),
    ],
)  # fmt: skip
def test_one_mistake(valid: str, mistakes: Mistakes, old: str, new: str, expected: str) -> None:
    assert valid.count(old) >= 1
    assert mistakes(valid.replace(old, new, 1)) == [f"s.yaml:{expected}"]


def test_a_row_that_is_near_none_is_told_where_rows_are_listed(valid: str, mistakes: Mistakes) -> None:
    (message,) = mistakes(valid.replace("row: modes/gan/grid/modes", "row: zzz"))
    assert message.startswith("s.yaml:54:11: quoted.0.row: no row 'zzz'; `bench plan` lists the ")


def test_a_row_is_quoted_once(valid: str, mistakes: Mistakes) -> None:
    again = "  - {row: modes/gan/grid/modes, value: 1, source: x}\n"
    assert mistakes(valid + again) == ["s.yaml:55:11: quoted.1.row: quoted already at entry 1; keep one of them"]


def test_what_follows_from_a_refused_value_is_not_told(valid: str, mistakes: Mistakes) -> None:
    text = valid.replace("seed: 3", "seed: !!int 3").replace("take: 40", "take: 0")
    assert mistakes(text) == [
        "s.yaml:3:7: seed: the tag !!int is not allowed; write the value without it",
        "s.yaml:5:46: data.digits.take: expected a number of at least 1, found 0",
    ]


def test_a_duplicate_key_does_not_hide_other_mistakes(valid: str, mistakes: Mistakes) -> None:
    text = valid.replace("seed: 3", "seed: 3\nseed: 4").replace("take: 40", "take: 0")
    assert mistakes(text) == [
        "s.yaml:4:1: seed: duplicate key 'seed', first at line 3",
        "s.yaml:6:46: data.digits.take: expected a number of at least 1, found 0",
    ]


def test_a_suite_with_nothing_to_do(mistakes: Mistakes) -> None:
    assert mistakes("suite: x\ndata: {d: {source: mnist}}\n") == [
        "s.yaml:1:8: suite: the suite names no models, so there is nothing to do; add a block `models:`"
    ]


@pytest.mark.parametrize("what", ["x" * 100_000, "a\nb", "a\u2028b", "\x85"])
def test_what_was_written_never_breaks_or_floods_a_line(valid: str, mistakes: Mistakes, what: str) -> None:
    written = '"' + "".join(f"\\u{ord(letter):04x}" for letter in what) + '"' if len(what) < 9 else what
    for old in ("seed: 3", "arch: softmax", "data: digits", "[fgsm", "kind: robustness", "norm: linf", "  gan:"):
        new = old[: old.rindex(old.split()[-1].strip("[:"))] + written + (":" if old.endswith(":") else "")
        found = mistakes(valid.replace(old, new, 1))
        assert found
        for message in found:
            assert len(message) < 400
            assert message.isprintable()


class TestWarnings:
    """What is allowed but looks wrong."""

    def test_an_epsilon_wider_than_the_data(self, valid: str) -> None:
        text = valid.replace("epsilon: [0.1, 8/255]", "epsilon: [0.1, 8/255, 1.5]")
        assert check(text, "s.yaml").warnings == (
            "s.yaml:26:48: evaluations.whitebox.threat.epsilon.2: warning: epsilon 1.5 is wider than the data range [0, 1]",
        )

    def test_the_declared_range_counts(self, valid: str) -> None:
        text = valid.replace("epsilon: [0.1, 8/255]", "epsilon: [0.1, 1.5]").replace(
            "    data: digits\n    threat: {norm: linf", "    data: mine\n    threat: {norm: linf"
        )
        assert check(text, "s.yaml").warnings == (
            "s.yaml:24:14: evaluations.whitebox.models.0: warning: 'quantisation' of 'softmax' is for inputs in [0, 1], "
            "the data has [-1, 1]",
        )

    def test_the_epsilon_of_a_recipe(self, valid: str) -> None:
        text = valid.replace("epsilon: 8/255, norm: l2", "epsilon: 3, norm: linf")
        (warning,) = check(text, "s.yaml").warnings
        assert warning == (
            "s.yaml:16:63: models.wide.train.epsilon: warning: epsilon 3 is wider than the data range [0, 1]"
        )

    def test_the_radius_of_l2_has_no_such_bound(self, valid: str) -> None:
        assert check(valid, "s.yaml").warnings == ()


class TestLooks:
    """A metric of a training needs models that keep enough of theirs."""

    FOLLOWS = "s.yaml:48:22: evaluations.modes.metrics.1: 'history' follows what a model draws while it is trained"
    LEAST = "set `looks` in its `train:` to at least 2, such as `looks: 40`"

    @pytest.fixture
    def following(self, valid: str) -> str:
        """The suite with `history`, where every model keeps its looks."""
        text = valid.replace("metrics: [modes, frechet]", "metrics: [modes, history]")
        return text.replace("packing: 2", "packing: 2, looks: 5").replace("[gan, drawn]", "[gan]")

    def test_enough_looks(self, following: str, mistakes: Mistakes) -> None:
        assert mistakes(following) == []
        assert mistakes(following, "models.gan.train.looks=2") == []

    @pytest.mark.parametrize("looks", [0, 1])
    def test_too_few(self, following: str, mistakes: Mistakes, looks: int) -> None:
        assert mistakes(following, f"models.gan.train.looks={looks}") == [
            f"{self.FOLLOWS}, and 'gan' keeps {looks} looks; {self.LEAST}"
        ]

    def test_left_out(self, following: str, mistakes: Mistakes) -> None:
        text = following.replace(", looks: 5", "")
        assert mistakes(text) == [f"{self.FOLLOWS}, and 'gan' keeps 0 looks; {self.LEAST}"]

    def test_a_model_that_is_not_trained_here(self, following: str, mistakes: Mistakes) -> None:
        assert mistakes(following.replace("models: [gan]", "models: [gan, drawn]")) == [
            f"{self.FOLLOWS}, and 'drawn' is not trained here; leave 'drawn' out of this evaluation, or train it by a "
            "recipe with `looks`, such as packed-gan"
        ]

    def test_a_recipe_without_looks(self, following: str, mistakes: Mistakes) -> None:
        assert mistakes(following.replace("models: [gan]", "models: [gan, vae]")) == [
            f"{self.FOLLOWS}; 'autoencoding', which trains 'vae', keeps no looks; packed-gan can"
        ]

    @pytest.mark.parametrize("looks", ["-1", "many", "true"])
    def test_what_is_no_number_of_looks_is_told_once(self, following: str, mistakes: Mistakes, looks: str) -> None:
        (found,) = mistakes(following, f"models.gan.train.looks={looks}")
        assert "models.gan.train.looks: expected" in found

    def test_real_data_have_no_such_row(self, following: str, mistakes: Mistakes) -> None:
        rows = list(names.all_rows(check(following, "s.yaml")))
        assert "modes/gan/grid/iterations_to_all_modes" in rows
        assert "modes/real-data/grid/modes" in rows
        assert not any("real-data" in row and ("iterations" in row or "lost" in row) for row in rows)
        (missing,) = mistakes(following.replace("modes/gan/grid/modes", "modes/real-data/grid/modes_lost"))
        assert "quoted.0.row: no row 'modes/real-data/grid/modes_lost'" in missing

    def test_other_data_have_no_modes(self, following: str, mistakes: Mistakes) -> None:
        (found,) = mistakes(
            following.replace("data: grid\n    samples", "data: digits\n    samples")
            .partition("expect:")[0]
            .replace("[modes, history]", "[frechet, history]")
        )
        assert "'history' needs data whose modes are known (grid25," in found


def test_rows_are_as_many_as_an_option_says(valid: str, mistakes: Mistakes) -> None:
    text = valid.replace("metrics: [modes, frechet]", "metrics: [modes, {collapse_region: {packs: 3}}]")
    rows = [row for row in names.all_rows(check(text, "s.yaml")) if "modes/gan/grid/total" in row]
    assert rows == [f"modes/gan/grid/total_variation{end}" for end in ("", "_2", "_3")]
    (few,) = mistakes(text.replace("packs: 3", "packs: 1"))
    assert "evaluations.modes.metrics.1.collapse_region.packs: expected a number of at least 2, found 1" in few
    (many,) = mistakes(text.replace("packs: 3", "packs: 7"))
    assert "packs: expected a number of at most 6, found 7" in many


def test_a_row_before_any_attack_has_no_verdict_on_it(valid: str, mistakes: Mistakes) -> None:
    text = valid.replace("timeout: 10m", "timeout: 10m\n    audit: quick", 1).replace(
        "expect:\n", "expect:\n  - {row: whitebox/softmax/clean/none/accuracy, min: 0, row_verdict: [adequate]}\n"
    )
    assert mistakes(text) == [
        "s.yaml:52:57: expect.0.row_verdict: a row before any attack has no verdict on its attack"
    ]
