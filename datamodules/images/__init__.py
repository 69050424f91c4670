"""Benchmarks on images: classification and localisation."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datamodules.images.cub import CUB
    from datamodules.images.image_folder import ImageFolder
    from datamodules.images.imagenet import ImageNetLocalization
    from datamodules.images.imagenette import Imagenette
    from datamodules.images.pets import Pets
    from datamodules.images.shapetex import ShapeTex
    from datamodules.images.voc import VOC
    from datamodules.images.wsol import WSOL

_HOMES = {
    "CUB": "cub",
    "ImageFolder": "image_folder",
    "ImageNetLocalization": "imagenet",
    "Imagenette": "imagenette",
    "Pets": "pets",
    "ShapeTex": "shapetex",
    "VOC": "voc",
    "WSOL": "wsol",
}
__all__ = ["CUB", "VOC", "WSOL", "ImageFolder", "ImageNetLocalization", "Imagenette", "Pets", "ShapeTex"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
