"""Cats and dogs: Parkhi et al., "Cats and dogs" (2012)."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from datamodules.images.folder import FolderDataModule, Splits
from datamodules.images.geometry import Array
from datamodules.images.reading import read_grey
from datamodules.images.records import ImageRecord, hold_out
from datamodules.images.tables import read_rows
from datamodules.module import require_integer

BREEDS = (
    "Abyssinian", "American Bulldog", "American Pit Bull Terrier", "Basset Hound", "Beagle", "Bengal", "Birman",
    "Bombay", "Boxer", "British Shorthair", "Chihuahua", "Egyptian Mau", "English Cocker Spaniel", "English Setter",
    "German Shorthaired", "Great Pyrenees", "Havanese", "Japanese Chin", "Keeshond", "Leonberger", "Maine Coon",
    "Miniature Pinscher", "Newfoundland", "Persian", "Pomeranian", "Pug", "Ragdoll", "Russian Blue", "Saint Bernard",
    "Samoyed", "Scottish Terrier", "Shiba Inu", "Siamese", "Sphynx", "Staffordshire Bull Terrier", "Wheaten Terrier",
    "Yorkshire Terrier",
)  # fmt: skip
TRIMAP_VALUES = {1: 1, 2: 0, 3: 255}
"""Pet, background and border of a trimap, and what they are in a mask: the border is ignored."""


class Pets(FolderDataModule):
    """Oxford-IIIT Pet: 37 breeds, 3,680 images to train with, 3,669 to test, each with the mask of its pet.

    The border of the pet, a few pixels wide, is neither object nor background but ignored; the box is the extent of the
    pet without it.

    Files:
        images/Abyssinian_100.jpg ...
        annotations/
            trainval.txt, test.txt   <name> <breed from 1> <1 cat, 2 dog> <breed of cat or dog from 1>
            trimaps/Abyssinian_100.png   values 1 pet, 2 background, 3 border

    Args:
        root: folder with images and annotations, torchvision's oxford-iiit-pet (CC BY-SA 4.0).
        num_val: number of training images held out for the validation split, chosen by `seed`, > 0.
        **options: see `ImageDataModule`.

    Raises:
        TypeError: see `ImageDataModule`.
        ValueError: an argument is out of its range; in `setup`, `root` was not given or a file cannot be used.
        FileNotFoundError: in `setup`, a file is missing.
    """

    title: ClassVar[str] = "Oxford-IIIT Pet"
    licence: ClassVar[str] = "CC BY-SA 4.0"
    split: ClassVar[str] = "trainval.txt and test.txt, validation held out of trainval"

    def __init__(self, root: str | None = None, num_val: int = 400, **options: Any) -> None:
        super().__init__(root=root, **options)
        require_integer("num_val", num_val, least=1)
        self.num_val = num_val

    @property
    def class_names(self) -> list[str]:
        """The names of the 37 breeds."""
        return list(BREEDS)

    def read_records(self) -> Splits:
        """Return the images of the splits, in the order of their lists."""
        train, val = hold_out(self._read_list("trainval.txt"), self.num_val, self.seed)
        return {"train": train, "val": val, "test": self._read_list("test.txt")}

    def _read_list(self, name: str) -> list[ImageRecord]:
        path = self.file("annotations", name)
        records = []
        for image, breed, _, _ in read_rows(path, (str, int, int, int)):
            if not 1 <= breed <= len(BREEDS):
                raise ValueError(f"{path} has the breed {breed} for {image}; allowed: 1 to {len(BREEDS)}")
            records.append(
                ImageRecord(
                    self.file("images", f"{image}.jpg"),
                    label=breed - 1,
                    read_mask=partial(read_trimap, self.file("annotations", "trimaps", f"{image}.png")),
                    box_of_mask=True,
                )
            )
        return records


def read_trimap(path: Path) -> Array:
    """Return a trimap as a mask: 0 background, 1 pet, 255 border.

    Raises:
        ValueError: the file is no trimap.
        FileNotFoundError: there is no such file.
    """
    trimap = np.asarray(read_grey(path))
    unknown = set(np.unique(trimap).tolist()) - set(TRIMAP_VALUES)
    if unknown:
        raise ValueError(f"{path} has the value {min(unknown)}; a trimap has 1, 2 and 3")
    return np.array([0, *TRIMAP_VALUES.values()], dtype=np.uint8)[trimap]
