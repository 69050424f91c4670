"""Batches of images, and their mirror images."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from datamodules import keys
from datamodules.images.normalization import Normalization

Sample = dict[str, Tensor]
Batch = dict[str, Tensor]

PADDING: dict[str, float] = {keys.BOXES: 0, keys.BOX_LABEL: -1, keys.DIFFICULT: 0}
"""Entries with one row per object, and what fills the rows of images with fewer objects."""


def collate_images(samples: list[Sample], normalization: Normalization) -> Batch:
    """Return the batch of some samples with the same entries, see `datamodules.keys`.

    Args:
        samples: images of the same size, uint8, or float32 in [0, 1], with or without other entries.
        normalization: what is done to the images.
    """
    batch = {}
    for key in samples[0]:
        column = [sample[key] for sample in samples]
        batch[key] = pad_sequence(column, True, PADDING[key]) if key in PADDING else torch.stack(column)
    if keys.BOXES in batch:
        batch[keys.NUM_BOXES] = torch.tensor([len(sample[keys.BOXES]) for sample in samples])
    images = batch[keys.IMAGE]
    pixels = images.float() / 255 if images.dtype == torch.uint8 else images
    batch[keys.IMAGE] = normalization.normalize(pixels)
    return batch


def mirror(batch: Batch, chosen: Tensor) -> Batch:
    """Return a batch in which some images are mirrored left to right, with their boxes and masks.

    Args:
        batch: a batch of images.
        chosen: (B,) bool, which images.
    """
    mirrored = dict(batch)
    for key in (keys.IMAGE, keys.MASK):
        if key in batch:
            entry = batch[key]
            mirrored[key] = torch.where(chosen.view(-1, *[1] * (entry.dim() - 1)), entry.flip(-1), entry)
    if keys.BOXES in batch:
        boxes, width = batch[keys.BOXES], batch[keys.IMAGE].size(-1)
        valid = torch.arange(boxes.size(1), device=boxes.device) < batch[keys.NUM_BOXES][:, None]
        x0, y0, x1, y1 = boxes.unbind(-1)
        flipped = torch.stack([width - x1, y0, width - x0, y1], -1)
        mirrored[keys.BOXES] = torch.where((valid & chosen[:, None])[..., None], flipped, boxes)
    return mirrored
