"""Images in a folder, one subfolder a class."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from bench.data.catalogue import Folder as FolderOptions
from bench.data.npz import file_digest
from bench.data.samples import Samples
from bench.errors import DataError

_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".pgm", ".ppm", ".tif", ".tiff"}


def image_files(folder: Path) -> list[Path]:
    """All images below a folder, in an order fixed by their names alone but unrelated to the classes.

    Sorting by a hash of the relative path mixes the classes, so that the first k images are a fair sample, and
    a file added later moves no other one.
    """
    if not folder.is_dir():
        raise DataError(f"expected a folder of images at {folder}, found none (paths start at {Path.cwd()})")
    files = [path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES]
    if not files:
        raise DataError(f"{folder} holds no images ({', '.join(sorted(_SUFFIXES))})")
    return sorted(files, key=lambda path: hashlib.sha256(path.relative_to(folder).as_posix().encode()).digest())


def read_images(files: list[Path], *, mode: str, size: tuple[int, int] | None) -> np.ndarray:
    """Images as uint8, shape (n, channels, height, width).

    Raises:
        DataError: A file is not an image, or the images differ in size and no `size` was given.
    """
    images = []
    for path in files:
        try:
            with Image.open(path) as image:
                converted = image.convert(mode)
        except (UnidentifiedImageError, OSError) as error:
            raise DataError(f"{path} cannot be read as an image: {error}") from error
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
        for path in image_files(folder):
            digest.update(f"{path.relative_to(folder).as_posix()}\0{file_digest(path)}\n".encode())
        return f"folder/{digest.hexdigest()[:32]}/{options.mode}/{options.size}"

    def count(self, options: FolderOptions) -> int:
        """How many images there are."""
        return len(image_files(Path(options.path)))

    def load(self, options: FolderOptions) -> Samples:
        """The images wanted by `skip` and `take`; their ids are their relative paths."""
        folder = Path(options.path)
        files = image_files(folder)
        classes = sorted({path.relative_to(folder).parts[0] for path in files})
        loose = [path for path in files if path.parent == folder]
        if loose:
            raise DataError(f"expected every image inside a class folder, found {loose[0]} directly in {folder}")
        labels = np.array([classes.index(path.relative_to(folder).parts[0]) for path in files], np.int64)
        stop = len(files) if options.take is None else options.skip + options.take
        files = files[:stop]
        images = read_images(files, mode=options.mode, size=options.size)
        return Samples(images, labels[:stop], tuple(path.relative_to(folder).as_posix() for path in files))
