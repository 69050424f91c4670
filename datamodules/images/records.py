"""A split of image files with what is known about each of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from datamodules import keys
from datamodules.images.batches import Sample
from datamodules.images.geometry import Array, Resize
from datamodules.images.reading import read_image
from datamodules.images.shapes import tight_box


@dataclass(frozen=True)
class ImageRecord:
    """An image file and its annotations; None where the benchmark has none.

    Attributes:
        path: the file.
        label: its class; or (classes,), 1 for each class that is present.
        boxes: (K, 4), x0, y0, x1, y1, end-exclusive.
        box_labels: (K,), class of each box; None for that of the image.
        difficult: (K,), whether the object is marked as difficult.
        boxes_size: height and width of the image in the pixels of `boxes`; None for those of the file.
        read_mask: returns the mask: 0 background, 1 object, 255 ignored; in pixels of any size.
        box_of_mask: the box is the extent of the mask's object.
    """

    path: Path
    label: int | Array | None = None
    boxes: Array | None = None
    box_labels: Array | None = None
    difficult: Array | None = None
    boxes_size: tuple[int, int] | None = None
    read_mask: Callable[[], Array] | None = None
    box_of_mask: bool = False


class ImageFiles(Sequence[Sample]):
    """Samples of image files, read when they are asked for.

    Args:
        records: the files and their annotations, all of the same kinds.
        resize: brings images, boxes and masks to the size of the network.
        upright: see `read_image`.
    """

    def __init__(self, records: Sequence[ImageRecord], resize: Resize, upright: bool = False) -> None:
        self.records = records
        self.resize = resize
        self.upright = upright

    def __len__(self) -> int:
        """Return the number of files."""
        return len(self.records)

    def __getitem__(self, index: int) -> Sample:  # type: ignore[override] # no slices
        """Return a sample with the entries of `datamodules.keys` that its record gives.

        Raises:
            ValueError: the file or its mask cannot be used.
        """
        record = self.records[index]
        image = read_image(record.path, self.upright)
        sample = {
            keys.IMAGE: self.resize.image(image),
            keys.SIZE: torch.tensor([image.height, image.width]),
            keys.FRAME: self.resize.frame(image.height, image.width),
            keys.INDEX: torch.tensor(index),
        }
        if record.label is not None:
            several = isinstance(record.label, np.ndarray)
            sample[keys.LABEL] = torch.as_tensor(record.label, dtype=torch.float32 if several else torch.int64)
        boxes, boxes_size = record.boxes, record.boxes_size or (image.height, image.width)
        if record.read_mask is not None:
            mask = record.read_mask()
            sample[keys.MASK] = self.resize.mask(mask)
            if record.box_of_mask:
                boxes, boxes_size = tight_box(mask == 1)[None], mask.shape
        if boxes is not None:
            sample[keys.BOXES], kept = self.resize.boxes(boxes, *boxes_size)
            labels = np.full(len(boxes), record.label) if record.box_labels is None else record.box_labels
            sample[keys.BOX_LABEL] = torch.as_tensor(labels, dtype=torch.int64)[kept]
            if record.difficult is not None:
                sample[keys.DIFFICULT] = torch.as_tensor(record.difficult, dtype=torch.bool)[kept]
        return sample


def hold_out(records: Sequence[ImageRecord], number: int, seed: int) -> tuple[list[ImageRecord], list[ImageRecord]]:
    """Choose some records at random.

    Args:
        records: to choose from.
        number: how many, 0 <= number < len(records).
        seed: same seed, same choice.

    Returns:
        The records that are left and the chosen ones, both in their order.

    Raises:
        ValueError: nothing would be left.
    """
    if not 0 <= number < len(records):
        raise ValueError(
            f"{number} of {len(records)} images cannot be held out; give a number from 0 to less than that"
        )
    chosen = set(np.random.default_rng(seed).permutation(len(records))[:number].tolist())
    return (
        [record for row, record in enumerate(records) if row not in chosen],
        [record for row, record in enumerate(records) if row in chosen],
    )


def digest(records: Sequence[ImageRecord], root: Path) -> str:
    """Return a sha256 of the files' places in a folder, their sizes in bytes and their annotations but for masks.

    Raises:
        FileNotFoundError: a file is missing.
    """
    state = hashlib.sha256()
    for record in records:
        state.update(f"{record.path.relative_to(root).as_posix()} {record.path.stat().st_size} ".encode())
        for entry in (record.label, record.boxes, record.box_labels, record.difficult):
            state.update(b"-" if entry is None else np.asarray(entry, dtype=np.float64).tobytes())
    return state.hexdigest()
