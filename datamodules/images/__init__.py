"""Benchmarks on images: classification and localisation."""

from typing import TYPE_CHECKING

from zoo.lazy import lazy

if TYPE_CHECKING:
    from datamodules.images.cub import CUB as CUB
    from datamodules.images.image_folder import ImageFolder as ImageFolder
    from datamodules.images.imagenet import ImageNetLocalization as ImageNetLocalization
    from datamodules.images.imagenette import Imagenette as Imagenette
    from datamodules.images.pets import Pets as Pets
    from datamodules.images.shapetex import ShapeTex as ShapeTex
    from datamodules.images.voc import VOC as VOC
    from datamodules.images.wsol import WSOL as WSOL

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "cub": ["CUB"],
        "image_folder": ["ImageFolder"],
        "imagenet": ["ImageNetLocalization"],
        "imagenette": ["Imagenette"],
        "pets": ["Pets"],
        "shapetex": ["ShapeTex"],
        "voc": ["VOC"],
        "wsol": ["WSOL"],
    },
)
