"""Image files, which are not trusted: every fault is a ValueError that names the file."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "GIF")  # some published .jpg files are GIF inside
MAX_PIXELS = 1 << 26  # of one image: 200 MB unpacked

# What Pillow raises on files that are damaged or were made to do harm.
UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, struct.error, zlib.error)


def read_image(path: str | Path, upright: bool = True) -> Image.Image:
    """Read an image of any mode as RGB.

    Sixteen bits are scaled to eight; transparent pixels show a white background.

    Args:
        path: the file.
        upright: turn the image as its EXIF entry says; benchmarks were annotated on the pixels as they lie in the file.

    Raises:
        ValueError: the file is no image, is damaged, or unpacks to more than `MAX_PIXELS`.
        FileNotFoundError: there is no such file.
    """
    return _read(path, lambda image: _rgb(ImageOps.exif_transpose(image) if upright else image))


def read_grey(path: str | Path) -> Image.Image:
    """Read an image whose values are numbers of classes: the indices of a palette, else its grey values.

    Raises:
        ValueError: the file is no image, is damaged, or unpacks to more than `MAX_PIXELS`.
        FileNotFoundError: there is no such file.
    """
    return _read(path, lambda image: image.copy() if image.mode == "P" else image.convert("L"))


def check_image(path: str | Path) -> None:
    """Check the beginning of a file, without unpacking it.

    Raises:
        ValueError: it is no image, or unpacks to more than `MAX_PIXELS`.
        FileNotFoundError: there is no such file.
    """
    path = Path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _open(path).close()
    except UNREADABLE as error:
        raise _fault(path, error) from error


def list_images(folder: str | Path) -> list[Path]:
    """Return the image files in a folder and the folders below it, by suffix, in alphabetical order."""
    return sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())


def _read(path: str | Path, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    path = Path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on metadata of no interest here
            with _open(path) as image:
                image.load()
                return convert(image)
    except UNREADABLE as error:
        raise _fault(path, error) from error


def _open(path: Path) -> Image.Image:
    try:
        image = Image.open(path, formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise ValueError(f"{error}; allowed: {MAX_PIXELS} pixels") from error
    if image.width * image.height > MAX_PIXELS:
        image.close()
        raise ValueError(f"it has {image.width} x {image.height} pixels; allowed: {MAX_PIXELS} in all")
    return image


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        grey = np.clip(np.asarray(image).astype(np.int64), 0, 65535) // 257
        image = Image.fromarray(grey.astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def _fault(path: Path, error: Exception) -> Exception:
    if isinstance(error, FileNotFoundError):
        return FileNotFoundError(f"there is no file {path}")
    return ValueError(f"{path} cannot be read as an image: {error}")
