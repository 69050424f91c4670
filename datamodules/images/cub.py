"""Birds: Wah et al., "The Caltech-UCSD Birds-200-2011 dataset" (2011)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from datamodules.images.folder import FolderDataModule, Splits
from datamodules.images.records import ImageRecord, hold_out
from datamodules.images.tables import read_rows
from datamodules.module import require_integer


class CUB(FolderDataModule):
    """CUB-200-2011: 11,788 images of 200 species, one bird and one box each; 5,994 to train with, 5,794 to test.

    A box reaches from (x, y) to (x + width, y + height), which is taken as end-exclusive.

    Files:
        images/001.Black_footed_Albatross/Black_Footed_Albatross_0046_18.jpg ...
        classes.txt              <class from 1> <name>
        images.txt               <image> <path in images>
        image_class_labels.txt   <image> <class from 1>
        bounding_boxes.txt       <image> <x> <y> <width> <height>
        train_test_split.txt     <image> <1 to train, 0 to test>

    Args:
        root: the folder CUB_200_2011 (non-commercial research).
        num_val: number of training images held out for the validation split, chosen by `seed`, > 0.
        **options: see `ImageDataModule`.

    Raises:
        TypeError: see `ImageDataModule`.
        ValueError: an argument is out of its range; in `setup`, `root` was not given or a file cannot be used.
        FileNotFoundError: in `setup`, a file is missing.
    """

    title: ClassVar[str] = "CUB-200-2011"
    licence: ClassVar[str] = "non-commercial research"
    split: ClassVar[str] = "train_test_split.txt, validation held out of training"

    def __init__(self, root: str | None = None, num_val: int = 500, **options: Any) -> None:
        super().__init__(root=root, **options)
        require_integer("num_val", num_val, least=1)
        self.num_val = num_val

    @property
    def class_names(self) -> list[str]:
        """The names of the species, as in "Black footed Albatross"."""
        rows = read_rows(self.file("classes.txt"), (int, str))
        return [name.partition(".")[2].replace("_", " ") for _, name in sorted(rows)]

    def read_records(self) -> Splits:
        """Return the images of the splits, in the order of their numbers."""
        labels = dict(read_rows(self.file("image_class_labels.txt"), (int, int)))
        boxes = {row[0]: row[1:] for row in read_rows(self.file("bounding_boxes.txt"), (int, *[float] * 4))}
        trains = dict(read_rows(self.file("train_test_split.txt"), (int, int)))
        splits: Splits = {"train": [], "test": []}
        for image, path in read_rows(self.file("images.txt"), (int, Path)):
            if not (image in labels and image in boxes and image in trains):
                raise ValueError(f"image {image} of {self.file('images.txt')} is not in all of the other files")
            x, y, width, height = boxes[image]
            box = np.array([[x, y, x + width, y + height]])
            record = ImageRecord(self.file("images") / path, label=labels[image] - 1, boxes=box)
            splits["train" if trains[image] else "test"].append(record)
        train, val = hold_out(splits["train"], self.num_val, self.seed)
        return {"train": train, "val": val, "test": splits["test"]}
