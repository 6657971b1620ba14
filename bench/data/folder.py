"""Images in a folder, one subfolder a class."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from bench.data.catalogue import Folder as FolderOptions
from bench.data.files import file_digest, is_folder
from bench.data.samples import Samples
from bench.errors import DataError

_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".pgm", ".ppm", ".tif", ".tiff"}


def image_files(folder: Path) -> list[Path]:
    """All images below a folder, in an order fixed by their names alone but unrelated to the classes.

    Sorting by a hash of the relative path mixes the classes, so that the first k images are a fair sample, and
    a file added later moves no other one. Hidden files and folders (of editors, of macOS) are left out.
    """
    if not is_folder(folder):
        raise DataError(f"expected a folder of images at {folder}, found none (paths start at {Path.cwd()})")
    names = {path: path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    files = [
        path
        for path, name in names.items()
        if path.suffix.lower() in _SUFFIXES and not _hidden(name) and path.is_file()
    ]
    if not files:
        raise DataError(f"{folder} holds no images ({', '.join(sorted(_SUFFIXES))})")
    return sorted(files, key=lambda path: hashlib.sha256(os.fsencode(names[path])).digest())


def class_names(folder: Path) -> list[str]:
    """The classes: all subfolders in alphabetical order, those without images too, or labels would shift."""
    return sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not _hidden(entry.name))


def _hidden(name: str) -> bool:
    return name.startswith(".") or "/." in name


def common_mode(files: list[Path]) -> Literal["RGB", "L"]:
    """``L`` when all images are grey, ``RGB`` otherwise; a file that is no image is left to `read_images`."""
    for path in files:
        with suppress(Exception), Image.open(path) as image:
            if image.mode not in ("L", "1"):
                return "RGB"
    return "L"


def read_images(files: list[Path], *, mode: str, size: tuple[int, int] | None) -> np.ndarray:
    """Images as uint8, shape (n, channels, height, width).

    Raises:
        DataError: A file is not an image of 8 bits a channel, or the images differ in size and no `size` was given.
    """
    images = []
    for path in files:
        try:
            with Image.open(path) as image:
                deep = image.mode.startswith(("I", "F"))
                converted = image.convert(mode)
        except Exception as error:  # damaged images fail in Pillow in many ways, OSError and SyntaxError among them
            raise DataError(f"{path} cannot be read as an image: {error}") from error
        if deep:
            raise DataError(f"{path} has more than 8 bits a channel; expected images of 8 bits, such as PNG or JPEG")
        if size is not None:
            converted = converted.resize((size[1], size[0]), Image.Resampling.BILINEAR)
        pixels = np.asarray(converted, np.uint8)
        images.append(pixels[None] if mode == "L" else pixels.transpose(2, 0, 1))
    shapes = Counter(image.shape for image in images)
    if len(shapes) > 1:
        (common, _), (other, _) = shapes.most_common(2)
        raise DataError(
            f"expected images of one size, found {common[1]}x{common[2]} and {other[1]}x{other[2]} among others; "
            f"set `size: [height, width]` to resize them"
        )
    return np.stack(images)


class Folder:
    """The source of images in class folders."""

    def fingerprint(self, options: FolderOptions) -> str:
        """Names and contents of all files, and how they are read."""
        folder = Path(options.path)
        digest = hashlib.sha256()
        files = image_files(folder)
        digest.update(os.fsencode("/".join(class_names(folder)) + "\n"))
        for path in files:
            digest.update(os.fsencode(f"{path.relative_to(folder).as_posix()}\0{file_digest(path)}\n"))
        return f"folder/{digest.hexdigest()[:32]}/{options.mode}/{options.size}"

    def count(self, options: FolderOptions) -> int:
        """How many images there are."""
        return len(image_files(Path(options.path)))

    def load(self, options: FolderOptions) -> Samples:
        """The images wanted by `skip` and `take`; their ids are their relative paths."""
        folder = Path(options.path)
        files = image_files(folder)
        loose = [path for path in files if path.parent == folder]
        if loose:
            raise DataError(f"expected every image inside a class folder, found {loose[0]} directly in {folder}")
        numbers = {name: number for number, name in enumerate(class_names(folder))}
        labels = np.array([numbers[path.relative_to(folder).parts[0]] for path in files], np.int64)
        stop = len(files) if options.take is None else options.skip + options.take
        files = files[:stop]
        images = read_images(files, mode=options.mode, size=options.size)
        return Samples(images, labels[:stop], tuple(_printable(path.relative_to(folder).as_posix()) for path in files))


def _printable(name: str) -> str:
    """A file name with bytes that are no UTF-8 written as escapes, fit for a CSV file."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
