"""Everyday scenes: Everingham et al., "The PASCAL visual object classes challenge" (2010)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from datamodules.images.folder import FolderDataModule, Splits
from datamodules.images.records import ImageRecord
from datamodules.images.tables import read_rows
from datamodules.images.voc_xml import read_voc_xml
from datamodules.module import require_integer

CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip


class VOC(FolderDataModule):
    """PASCAL VOC: images with several objects of 20 classes; `label` is (B, 20), 1 for each class that is present.

    The splits are those of ImageSets/Main: train, val, and test where it was published (2007), else val once more.
    Annotations count pixels from 1 and include the last one. `difficult` marks the boxes of difficult objects.

    Files:
        VOCdevkit/VOC<year>/
            JPEGImages/2007_000027.jpg ...
            Annotations/2007_000027.xml ...
            ImageSets/Main/<train, val, test>.txt   one name per line

    Args:
        root: the folder that holds VOCdevkit, as of torchvision's VOCDetection.
        year: 2007 to 2012.
        difficult: keep difficult objects; else neither their boxes nor, if there are no others, their classes count.
        **options: see `ImageDataModule`.

    Raises:
        TypeError: see `ImageDataModule`.
        ValueError: an argument is out of its range; in `setup`, `root` was not given or a file cannot be used.
        FileNotFoundError: in `setup`, a file is missing.
    """

    title: ClassVar[str] = "PASCAL VOC"
    licence: ClassVar[str] = "of the images on flickr"
    split: ClassVar[str] = "ImageSets/Main: train, val, test or else val"

    def __init__(self, root: str | None = None, year: int = 2012, difficult: bool = True, **options: Any) -> None:
        super().__init__(root=root, **options)
        require_integer("year", year, least=2007)
        if year > 2012:
            raise ValueError(f"year={year} is not allowed; give an integer from 2007 to 2012")
        self.year = year
        self.difficult = difficult

    @property
    def class_names(self) -> list[str]:
        """The names of the 20 classes."""
        return list(CLASSES)

    def read_records(self) -> Splits:
        """Return the images of the splits, in the order of their lists."""
        lists = self.file("VOCdevkit", f"VOC{self.year}", "ImageSets", "Main")
        train, val = (self._read_split(split) for split in ("train", "val"))
        return {"train": train, "val": val, "test": self._read_split("test") if (lists / "test.txt").exists() else val}

    def _read_split(self, split: str) -> list[ImageRecord]:
        base = ("VOCdevkit", f"VOC{self.year}")
        images, annotations = (self.file(*base, folder) for folder in ("JPEGImages", "Annotations"))
        names = read_rows(self.file(*base, "ImageSets", "Main", f"{split}.txt"), (str,))
        return [self._record(images / f"{name}.jpg", annotations / f"{name}.xml") for (name,) in names]

    def _record(self, image: Path, annotation: Path) -> ImageRecord:
        if not annotation.exists():
            raise self._missing(annotation)
        found = read_voc_xml(annotation)
        unknown = set(found.names) - set(CLASSES)
        if unknown:
            raise ValueError(f"{annotation} names the object {min(unknown)!r}; allowed: {', '.join(CLASSES)}")
        labels = np.array([CLASSES.index(name) for name in found.names], dtype=np.int64)
        counted = ~found.difficult | self.difficult
        return ImageRecord(
            image,
            label=np.isin(np.arange(len(CLASSES)), labels[counted]).astype(np.float32),
            boxes=found.boxes[counted],
            box_labels=labels[counted],
            difficult=found.difficult[counted],
            boxes_size=found.size,
        )
