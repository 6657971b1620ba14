"""What cannot be tracked is not believed, and what is the same by its weights alone is not the same."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bench.runner import Run
from tests.conftest import TOY_MODULE, TOY_SUITE, Workshop
from tests.tracking.conftest import lists, used

PROCESS = "import subprocess\n" + TOY_MODULE + "\nsubprocess.run(['true'], check=True)\n"
OUTSIDE = """
import subprocess
from pathlib import Path
""" + TOY_MODULE.replace("def linear(scale=4.0):", "def linear():").replace(
    'model = nn',
    'scale = float(subprocess.run(["cat", str(Path(__file__).parent / "scale.txt")], capture_output=True, '
    'check=True).stdout)\n    model = nn'
)  # fmt: skip
ATTACK = """
import subprocess


def attack(model, x, goal, *, threat, draws):
    subprocess.run(["true"], check=True)
    return x
"""


def origins(run: Run) -> Mapping[str, str]:
    """Where the result of each job came from."""
    return {job: state.origin for job, state in run.states.items()}


def again(shop: Workshop, text: str, **options: Any) -> Run:
    return shop.run(text, out=shop.folder / "again", **options)


def test_a_model_that_starts_a_process_is_built_again_and_compared(toy: Workshop) -> None:
    toy.module("toy", PROCESS)
    first = toy.run()
    assert "starts a process (true)" in str(first.states["build/lin"].untracked)
    second = again(toy, TOY_SUITE)
    assert origins(second)["build/lin"] == "done"
    assert {origin for job, origin in origins(second).items() if job != "build/lin"} == {"store"}
    trusting = again(toy, TOY_SUITE, trust=True)
    assert set(origins(trusting).values()) == {"store"}
    assert json.loads((toy.folder / "again" / "run.json").read_text())["trust"] is True


def test_what_such_a_model_reads_unseen_is_noticed_by_its_state(toy: Workshop) -> None:
    toy.module("toy", OUTSIDE)
    (toy.folder / "scale.txt").write_text("4.0")
    toy.run()
    (toy.folder / "scale.txt").write_text("5.0")
    assert set(origins(again(toy, TOY_SUITE)).values()) == {"done"}
    (toy.folder / "scale.txt").write_text("4.0")
    assert origins(again(toy, TOY_SUITE)) == {
        "build/lin": "done", **{job: "store" for job in origins(again(toy, TOY_SUITE)) if job != "build/lin"}
    }  # fmt: skip


def test_such_an_attack_is_run_again_unless_it_is_declared_or_trusted(toy: Workshop) -> None:
    toy.module("mine", ATTACK)
    text = TOY_SUITE.replace("fgsm, {pgd: {steps: 3}}", 'fgsm, "mine:attack"')
    toy.run(text)
    second = again(toy, text)
    assert origins(second)["attack/wb/lin/0/attack/0"] == "done"
    assert origins(second)["attack/wb/lin/0/fgsm/0"] == "store"
    assert set(origins(again(toy, text, trust=True)).values()) == {"store"}
    declared = text.replace('"mine:attack"', '{"mine:attack": {}, uses: [table.bin, MODE]}')
    (toy.folder / "table.bin").write_bytes(b"1")
    again(toy, declared)
    assert set(origins(again(toy, declared)).values()) == {"store"}
    (toy.folder / "table.bin").write_bytes(b"2")
    assert origins(again(toy, declared))["attack/wb/lin/0/attack/0"] == "done"


def test_the_plan_says_which_component_why_and_what_to_do(toy: Workshop) -> None:
    toy.module("mine", ATTACK)
    text = TOY_SUITE.replace("fgsm, {pgd: {steps: 3}}", 'fgsm, "mine:attack"')
    toy.run(text)
    plan = toy.shell("plan", str(toy.suite(text)), "--store", "store", "--device", "cpu").stdout
    (line,) = [line for line in plan.splitlines() if line.startswith("to do   attack/wb/lin/0/attack/0")]
    assert "attack mine:attack starts a process (true)" in line
    assert "`uses:`" in line
    assert "--trust" in line


def test_a_gate_says_it_as_well(toy: Workshop) -> None:
    toy.module("toy", PROCESS)
    toy.run()
    toy.shell("baseline", "out", "-o", "base.json")
    said = toy.shell("gate", "out", "--baseline", "base.json")
    assert "model toy:linear starts a process (true), which cannot be tracked" in said.stdout
    again(toy, TOY_SUITE, trust=True)
    assert "--trust" in toy.shell("gate", "again", "--baseline", "base.json").stdout


UNSTABLE = """
import os
import torch
from torch import nn


def linear():
    model = nn.Linear(4, 2)
    model.weight.data[0, 0] = int.from_bytes(os.urandom(4), "big") / 2**32
    return model
"""


def test_a_factory_that_gives_another_model_each_time(toy: Workshop) -> None:
    toy.module("toy", UNSTABLE)
    first = toy.run()
    assert "gives another model each time" in str(first.states["build/lin"].untracked)
    assert set(origins(again(toy, TOY_SUITE)).values()) == {"done"}


SAME_WEIGHTS = {
    "forward": (
        "class Net(nn.Linear):\n    def forward(self, x):\n        return super().forward(x) * 1.0\n",
        "class Net(nn.Linear):\n    def forward(self, x):\n        return super().forward(x) * 2.0\n",
    ),
    "attribute": (
        "class Net(nn.Linear):\n    factor = open(HERE + '/factor').read()\n"
        "    def __init__(self, *a):\n        super().__init__(*a)\n        self.f = float(self.factor)\n"
        "    def forward(self, x):\n        return super().forward(x) * self.f\n",
        None,
    ),
    "closure": (
        "def scaled(k):\n    return lambda y: y * k\n\n\nclass Net(nn.Linear):\n"
        "    def __init__(self, *a):\n        super().__init__(*a)\n"
        "        self.after = scaled(float(open(HERE + '/factor').read()))\n"
        "    def forward(self, x):\n        return self.after(super().forward(x))\n",
        None,
    ),
}
NET = """
import os
import torch
from torch import nn
HERE = os.path.dirname(__file__)
{net}

def linear():
    model = Net(4, 2)
    model.weight.data = torch.tensor([[-4.0, 0, 0, 0], [4.0, 0, 0, 0]])
    model.bias.data = torch.tensor([2.0, -2.0])
    return model
"""


@pytest.mark.parametrize("what", SAME_WEIGHTS)
def test_equal_weights_are_not_an_equal_model(what: str, toy: Workshop) -> None:
    before, after = SAME_WEIGHTS[what]
    (toy.folder / "factor").write_text("1.0")
    toy.module("toy", NET.format(net=before))
    first = toy.run()
    (toy.folder / "factor").write_text("3.0")
    toy.module("toy", NET.format(net=after or before))
    second = again(toy, TOY_SUITE)
    assert set(origins(second).values()) == {"done"}
    assert {state.key for job, state in first.states.items() if not job.startswith("build/")}.isdisjoint(
        {state.key for job, state in second.states.items()}
    )


CHANGING = (
    TOY_MODULE
    + """

import os
from pathlib import Path
HERE = Path(__file__).parent
(HERE / "read.txt").read_text()
if (HERE / "disturb").exists():
    os.system(f"sh -c 'echo more >> {HERE}/read.txt'")
"""
)


def test_a_file_that_changes_while_a_job_runs_fails_it(toy: Workshop) -> None:
    (toy.folder / "read.txt").write_text("1")
    (toy.folder / "disturb").write_text("")
    toy.module("toy", CHANGING)
    first = toy.run()
    assert first.states["build/lin"].status == "failed"
    assert "read.txt changed while the job used it" in first.states["build/lin"].message
    assert not list((toy.folder / "store").glob("build/*/*"))
    (toy.folder / "disturb").unlink()
    assert again(toy, TOY_SUITE).exit_code == 0


def test_an_edit_of_equal_length_within_a_second_is_seen(toy: Workshop) -> None:
    """Python's own bytecode would be taken for current."""
    while time.time() % 1 > 0.2:
        time.sleep(0.01)
    toy.module("toy", TOY_MODULE + "\nimport helper\nlinear.__defaults__ = (helper.SCALE,)\n")
    for folder in (toy.folder, toy.folder / "other"):
        folder.mkdir(exist_ok=True)
    toy.module("helper", "SCALE = 4.0\n")
    first = toy.run()
    toy.module("helper", "SCALE = 0.0\n")
    second = again(toy, TOY_SUITE)
    assert first.rows[0].value != second.rows[0].value


def test_a_list_holds_names_by_their_roots(toy: Workshop) -> None:
    run = toy.run()
    found = lists(run.folder, toy.folder / "store")
    assert set(found) == set(run.states)
    assert all(toy.folder / "toy.py" in paths for paths in used(run.folder, toy.folder / "store").values())
    texts = [text for each in found.values() for manifest in each.components.values() for text in manifest.entries]
    assert not [text for text in texts if str(toy.folder) in text], "a store moves with its project"


def test_going_back_and_forth_computes_nothing(toy: Workshop) -> None:
    toy.run()
    toy.module("toy", TOY_MODULE.replace("scale=4.0", "scale=3.0"))
    again(toy, TOY_SUITE)
    toy.module("toy", TOY_MODULE)
    assert set(origins(again(toy, TOY_SUITE)).values()) == {"store"}
    toy.module("toy", TOY_MODULE.replace("scale=4.0", "scale=3.0"))
    assert set(origins(again(toy, TOY_SUITE)).values()) == {"store"}


def test_data_that_change_after_the_plan_was_made(toy: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.engine.execute import Execution

    begin = Execution.run

    def late(self: Execution, jobs: Any) -> None:
        toy.toy(count=41)
        begin(self, jobs)

    monkeypatch.setattr(Execution, "run", late)
    run = toy.run()
    assert run.exit_code == 3
    assert any("data 'toy' has changed since this run began" in state.message for state in run.states.values())


def test_secrets_are_not_in_a_list(toy: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_OF_MINE", "very secret")
    toy.module("toy", "import os\nos.environ['TOKEN_OF_MINE']\n" + TOY_MODULE)
    toy.run()
    content = b"".join(path.read_bytes() for path in Path(toy.folder / "store").rglob("*") if path.is_file())
    assert b"TOKEN_OF_MINE" in content
    assert b"very secret" not in content
