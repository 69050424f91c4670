"""Localisation by the protocol of Choe et al., "Evaluating weakly supervised object localization methods right".

The paper is of 2020; its files are in the repository clovaai/wsolevaluation.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from datamodules.images.folder import FolderDataModule, Splits
from datamodules.images.geometry import Array
from datamodules.images.imagenet_classes import imagenet_classes
from datamodules.images.module import SPLITS
from datamodules.images.reading import read_grey
from datamodules.images.records import ImageRecord
from datamodules.images.tables import read_rows
from zoo.checks import require_choice

DATASETS = ("ILSVRC", "CUB", "OpenImages")


class WSOL(FolderDataModule):
    """Weakly supervised object localisation as the repository clovaai/wsolevaluation lays it out.

    The splits train, val and test are train-weaksup, train-fullsup (ImageNetV2, CUBV2: thresholds are chosen on it) and
    test of the paper. Boxes are taken as the files list them. A mask is the union of an image's objects; the pixels of
    the ignore mask that are in none of them are ignored.

    Files:
        metadata/<dataset>/<train, val, test>/
            image_ids.txt      <path>
            class_labels.txt   <path>,<label from 0>
            image_sizes.txt    <path>,<width>,<height>           (where there are boxes)
            localization.txt   <path>,<x0>,<y0>,<x1>,<y1>        several lines for several objects; or
                               <path>,<mask path>,<ignore path>  the ignore path in the first line of an image only
        dataset/<dataset>/<path>, <mask path> and <ignore path>

    Args:
        root: folder with metadata and dataset; to evaluate, metadata/<dataset>/train may be absent.
        dataset: "ILSVRC", "CUB" or "OpenImages".
        **options: see `ImageDataModule`.

    Raises:
        TypeError: see `ImageDataModule`.
        ValueError: an argument is out of its range; in `setup`, `root` was not given or a file cannot be used.
        FileNotFoundError: in `setup`, a file is missing.
    """

    title: ClassVar[str] = "WSOL"
    licence: ClassVar[str] = "of the images' sources; boxes of ImageNetV2 and CUBV2 CC BY 2.0"
    split: ClassVar[str] = "train-weaksup, train-fullsup, test"

    def __init__(self, root: str | None = None, dataset: str = "ILSVRC", **options: Any) -> None:
        super().__init__(root=root, **options)
        require_choice("dataset", dataset, DATASETS)
        self.dataset_name = dataset

    @property
    def class_names(self) -> list[str]:
        """The names of the classes: of ImageNet, else of the folders in which the images lie."""
        if self.dataset_name == "ILSVRC":
            return list(imagenet_classes().values())
        rows = read_rows(self._list("test", "class_labels"), (Path, int), ",")
        names = {label: path.parent.name for path, label in rows}
        return [names[label] for label in sorted(names)]

    def read_records(self) -> Splits:
        """Return the images of the splits, in the order of `image_ids.txt`."""
        trains = (self.file("metadata", self.dataset_name) / "train").is_dir()
        return {split: self._read_split(split) for split in SPLITS if trains or split != "train"}

    def _read_split(self, split: str) -> list[ImageRecord]:
        images = self.file("dataset", self.dataset_name)
        ids = [path for (path,) in read_rows(self._list(split, "image_ids"), (str,), ",")]
        labels = self._by_path(ids, split, "class_labels", (int,))
        if split == "train" and not (self._list(split, "image_ids").parent / "localization.txt").exists():
            return [ImageRecord(images / path, label=labels[path][0][0]) for path in ids]
        if self._list(split, "localization").read_text(encoding="utf-8").partition("\n")[0].count(",") == 2:
            masks = self._by_path(ids, split, "localization", (str, str))
            return [
                ImageRecord(images / path, label=labels[path][0][0], read_mask=self._mask_reader(masks[path]))
                for path in ids
            ]
        boxes = self._by_path(ids, split, "localization", (int, int, int, int))
        sizes = self._by_path(ids, split, "image_sizes", (int, int))
        return [
            ImageRecord(
                images / path,
                label=labels[path][0][0],
                # As listed: the protocol compares them with ends one beyond the last pixel, and so does MaxBoxAcc.
                boxes=np.array(boxes[path]),
                boxes_size=(sizes[path][0][1], sizes[path][0][0]),
            )
            for path in ids
        ]

    def _list(self, split: str, name: str) -> Path:
        return self.file("metadata", self.dataset_name, split, f"{name}.txt")

    def _by_path(
        self, ids: list[str], split: str, name: str, types: tuple[Callable[[str], Any], ...]
    ) -> dict[str, list[list[Any]]]:
        """Return the rows of a file by the image that they belong to."""
        rows = defaultdict(list)
        for path, *values in read_rows(self._list(split, name), (str, *types), ","):
            rows[path].append(values)
        missing = [path for path in ids if path not in rows]
        if missing:
            raise ValueError(f"{self._list(split, name)} lacks {missing[0]}")
        return rows

    def _mask_reader(self, rows: list[list[str]]) -> Callable[[], Array]:
        objects = [self.file("dataset", self.dataset_name, mask) for mask, _ in rows]
        ignored = [self.file("dataset", self.dataset_name, ignore) for _, ignore in rows if ignore]
        return partial(union_mask, objects, ignored[0] if ignored else None)


def union_mask(paths: list[Path], ignored: Path | None) -> Array:
    """Return the mask of all objects of an image: 0 background, 1 object, 255 ignored; in pixels of the first file.

    Args:
        paths: files with one object each, as pixels that are not black.
        ignored: file with what is to be ignored as far as it is in no object.
    """
    first = read_grey(paths[0])
    size = first.size
    objects = np.asarray(first) > 0
    for path in paths[1:]:
        objects = objects | (_resized(path, size) > 0)
    mask = objects.astype(np.uint8)
    if ignored is not None:
        mask[(_resized(ignored, size) > 0) & ~objects] = 255
    return mask


def _resized(path: Path, size: tuple[int, int]) -> Array:
    return np.asarray(read_grey(path).resize(size, Image.Resampling.NEAREST))
