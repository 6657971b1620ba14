"""Images of a user's in a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data import describe, load_named
from bench.data.catalogue import Folder
from bench.data.folder import image_files
from bench.errors import DataError


def draw(path: Path, value: int, *, mode: str = "RGB", size: tuple[int, int] = (6, 4)) -> None:
    """A plain image of a width and height."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode == "L" else (value, 0, 255 - value)).save(path)


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Three classes of five images; the red channel of an image is 10 times its class, plus its number."""
    for number, kind in enumerate(["ant", "bee", "cat"]):
        for index in range(5):
            draw(tmp_path / "pets" / kind / f"{index}.png", 10 * number + index)
    return tmp_path / "pets"


def fingerprint(path: Path) -> str:
    return describe("d", "folder", Folder(path=str(path))).fingerprint


def test_classes_are_subfolders_in_alphabetical_order(pets: Path) -> None:
    samples = load_named("folder", path=str(pets))
    assert samples.x.shape == (15, 3, 4, 6)
    assert samples.y is not None
    assert samples.ids[0].split("/")[0] == ["ant", "bee", "cat"][samples.y[0]]
    red = samples.x[:, 0, 0, 0].astype(int)
    assert (red // 10 == samples.y).all()
    assert sorted(red) == [10 * number + index for number in range(3) for index in range(5)]
    assert samples.inputs().max() == 1.0


def test_the_first_images_are_of_several_classes(pets: Path) -> None:
    samples = load_named("folder", path=str(pets), take=6)
    assert len(samples) == 6
    assert samples.y is not None
    assert len(set(samples.y.tolist())) == 3


def test_a_new_image_moves_no_other(pets: Path) -> None:
    before = image_files(pets)
    draw(pets / "bee" / "new.png", 99)
    after = image_files(pets)
    assert [path for path in after if path.name != "new.png"] == before


def test_an_empty_class_keeps_its_number(pets: Path) -> None:
    """Else the labels of all classes behind it would shift."""
    before = fingerprint(pets)
    (pets / "aardvark").mkdir()
    samples = load_named("folder", path=str(pets))
    assert samples.y is not None
    assert set(samples.y.tolist()) == {1, 2, 3}
    assert fingerprint(pets) != before


def test_content_names_and_reading_decide_the_fingerprint(pets: Path) -> None:
    names = {fingerprint(pets)}
    draw(pets / "ant" / "0.png", 77)
    names.add(fingerprint(pets))
    (pets / "ant" / "0.png").rename(pets / "bee" / "moved.png")
    names.add(fingerprint(pets))
    for options in ({"mode": "L"}, {"size": (2, 2)}):
        names.add(describe("d", "folder", Folder(path=str(pets), **options)).fingerprint)
    assert len(names) == 5


def test_grey_and_resized(pets: Path) -> None:
    samples = load_named("folder", path=str(pets), mode="L", size=(3, 5))
    assert samples.x.shape == (15, 1, 3, 5)


def test_hidden_files_are_left_out(pets: Path) -> None:
    before = fingerprint(pets)
    (pets / ".thumbnails").mkdir()
    (pets / ".thumbnails" / "a.png").write_bytes(b"x")
    (pets / "ant" / "._0.png").write_bytes(b"x")
    assert fingerprint(pets) == before
    assert len(load_named("folder", path=str(pets))) == 15


def test_take_reads_no_more_than_it_must(pets: Path) -> None:
    last = image_files(pets)[-1]
    last.write_bytes(b"not an image")
    assert len(load_named("folder", path=str(pets), take=14)) == 14
    with pytest.raises(DataError, match=rf"{last.name} cannot be read as an image"):
        load_named("folder", path=str(pets))


def test_sizes_must_agree(pets: Path) -> None:
    draw(pets / "ant" / "tall.png", 1, size=(4, 9))
    with pytest.raises(DataError, match=r"expected images of one size, found 4x6 and 9x4 .* set `size:"):
        load_named("folder", path=str(pets))
    assert load_named("folder", path=str(pets), size=(4, 4)).x.shape == (16, 3, 4, 4)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("loose.png", b"", "expected every image inside a class folder, found .*loose.png directly in"),
        ("ant/text.png", b"hello", "text.png cannot be read as an image"),
        ("ant/empty.jpg", b"", "empty.jpg cannot be read as an image"),
    ],
)
def test_files_that_do_not_fit(pets: Path, name: str, content: bytes, message: str) -> None:
    (pets / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        load_named("folder", path=str(pets))


def test_images_cut_short(pets: Path) -> None:
    path = pets / "ant" / "0.png"
    Image.fromarray(np.random.default_rng(0).integers(256, size=(4, 6, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:80])
    with pytest.raises(DataError, match=r"0\.png cannot be read as an image"):
        load_named("folder", path=str(pets))


def test_sixteen_bit_images_are_refused_not_clipped(pets: Path) -> None:
    Image.fromarray(np.full((4, 6), 40_000, np.uint16)).save(pets / "ant" / "deep.png")
    with pytest.raises(DataError, match=r"deep\.png has more than 8 bits a channel"):
        load_named("folder", path=str(pets), mode="L")


def test_missing_and_empty_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected a folder of images at .*nowhere, found none"):
        fingerprint(tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds no images"):
        fingerprint(tmp_path)


def test_file_names_that_are_no_text(pets: Path) -> None:
    """Ids go into seeds and CSV files, so they must be text whatever the bytes of a name are."""
    odd = bytes(pets / "ant") + b"/caf\xe9.png"
    (pets / "ant" / "0.png").rename(odd.decode("utf-8", "surrogateescape"))
    ids = load_named("folder", path=str(pets)).ids
    assert "ant/caf\\xe9.png" in [name.encode().decode() for name in ids]
