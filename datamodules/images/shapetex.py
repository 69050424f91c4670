"""ShapeTex: textured shapes on textured backgrounds, whose classes, boxes and masks are known exactly.

Each image shows one of six shapes in a colour that differs from that of the background; both have textures with a
power-law spectrum, small discs clutter the background, and noise covers everything. Generated in seconds, learned by a
small network in minutes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save_file
from safetensors.torch import load_file
from torch import Tensor
from tqdm.auto import trange

from datamodules import keys
from datamodules.images.batches import Sample
from datamodules.images.geometry import Array
from datamodules.images.module import SPLITS, ImageDataModule
from datamodules.images.normalization import NormalizationName
from datamodules.images.shapes import SHAPES, shape_mask, tight_box
from datamodules.images.textures import random_fields
from datamodules.module import Samples, require_integer
from datamodules.sources import generated, sha256_of

CLASSES = tuple(SHAPES)
ENTRIES = (keys.IMAGE, keys.LABEL, keys.BOXES, keys.MASK)
FILE_NAME = "shapetex.safetensors"
MIN_AREA = 40  # pixels of an object
MIN_IMAGE_SIZE = 24  # below, some shapes would always be too small
PATIENCE = 2  # seconds after which a progress bar is worth its line
SEED_OFFSETS = {"train": 0, "test": 1, "val": 2}
VERSION = 1  # of the generator; to be raised when a seed gives other images


class ShapeTex(ImageDataModule):
    """Localisation of six shapes (disc, square, triangle, cross, ring, bars), one per image, with box and mask.

    Generated from `seed`: the splits "train", "test" and "val" are drawn from the seeds 3 seed, 3 seed + 1 and
    3 seed + 2, hence 0, 1 and 2 by default. A smaller split is the beginning of a larger one.

    Args:
        num_train: number of training images, > 0.
        num_val: number of validation images, > 0.
        num_test: number of test images, > 0.
        image_size: height and width S in pixels, >= 24; shapes scale with it.
        normalization: see `ImageDataModule`.
        **options: see `ImageDataModule`; `resize_size` and `interpolation` only concern a user's images.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        num_train: int = 4000,
        num_val: int = 400,
        num_test: int = 600,
        image_size: int = 48,
        normalization: NormalizationName = "shapetex",
        **options: Any,
    ) -> None:
        super().__init__(image_size=image_size, normalization=normalization, **options)
        require_integer("image_size", image_size, least=MIN_IMAGE_SIZE)
        self.sizes = {"train": num_train, "val": num_val, "test": num_test}
        for split, size in self.sizes.items():
            require_integer(f"num_{split}", size, least=1)
        self._sha256 = ""

    @property
    def class_names(self) -> list[str]:
        """The names of the shapes, in the order of the labels."""
        return list(CLASSES)

    def source(self) -> Path:
        """Return the file with the images, generating it first where needed."""

        def build(path: Path) -> None:
            save_file(
                {
                    f"{split}.{key}": entry
                    for split, size in self.sizes.items()
                    for key, entry in generate(size, 3 * self.seed + SEED_OFFSETS[split], self.image_size).items()
                },
                path,
            )

        arguments = {"version": VERSION, "sizes": self.sizes, "seed": self.seed, "image_size": self.image_size}
        return generated(FILE_NAME, arguments, build)

    def build_datasets(self) -> dict[str, Samples]:
        """Return the splits as samples with all entries of `datamodules.keys` but `difficult`."""
        path = self.source()
        self._sha256 = sha256_of(path)
        entries = load_file(path)
        return {
            split: GeneratedImages(
                {key.removeprefix(f"{split}."): entry for key, entry in entries.items() if key.startswith(f"{split}.")}
            )
            for split in SPLITS
        }

    def metadata(self) -> dict[str, Any]:
        """Return the provenance of the images."""
        return {
            "name": "ShapeTex",
            "source": "generated",
            "split": "generated",
            "licence": "none, synthetic",
            "sha256": self._sha256,
            **self.provenance(),
        }


class GeneratedImages(Sequence[Sample]):
    """Samples of images with one object each.

    Args:
        entries: what `generate` returned, as tensors.
    """

    def __init__(self, entries: dict[str, Tensor]) -> None:
        self.entries = entries

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.entries[keys.IMAGE])

    def __getitem__(self, index: int) -> Sample:  # type: ignore[override] # no slices
        """Return a sample."""
        sample = {key: entry[index] for key, entry in self.entries.items()}
        return {
            **sample,
            keys.BOX_LABEL: sample[keys.LABEL][None],
            keys.SIZE: torch.tensor(sample[keys.MASK].shape),
            keys.FRAME: torch.tensor([0, 0, *sample[keys.MASK].shape[::-1]], dtype=torch.float32),
            keys.INDEX: torch.tensor(range(len(self))[index]),
        }


def generate(number: int, seed: int, size: int = 48) -> dict[str, Array]:
    """Draw images, one after the other from one generator.

    Args:
        number: of images, N.
        seed: same seed, same bits.
        size: S, height and width in pixels.

    Returns:
        `image` (N, 3, S, S) float32 in [0, 1], `label` (N,) int64, `boxes` (N, 1, 4) float32, `mask` (N, S, S) uint8.
    """
    generator = np.random.default_rng(seed)
    images = np.empty((number, 3, size, size), dtype=np.float32)
    masks = np.empty((number, size, size), dtype=np.uint8)
    labels = np.empty(number, dtype=np.int64)
    for row in trange(number, desc=f"ShapeTex seed {seed}", unit="image", delay=PATIENCE):
        labels[row] = generator.integers(len(CLASSES))
        mask = draw_mask(CLASSES[labels[row]], size, generator)
        images[row], masks[row] = draw_image(mask, generator), mask
    boxes = np.array([[tight_box(mask)] for mask in masks], dtype=np.float32)
    return {keys.IMAGE: images, keys.LABEL: labels, keys.BOXES: boxes, keys.MASK: masks}


def draw_mask(shape: str, size: int, generator: np.random.Generator) -> Array:
    """Draw place, size and angle of a shape until it has `MIN_AREA` pixels; returns its mask, (S, S) bool."""
    while True:
        radius = size * generator.uniform(0.16, 0.32)
        center = generator.uniform(radius, size - radius, 2)
        mask = shape_mask(shape, size, center, radius, generator.uniform(-0.35, 0.35))
        if mask.sum() >= MIN_AREA:
            return mask


def draw_image(mask: Array, generator: np.random.Generator) -> Array:
    """Draw colours, textures, clutter and noise around a mask (S, S) bool; returns (3, S, S) float64 in [0, 1]."""
    size = len(mask)
    background = generator.uniform(0.3, 0.7, (3, 1, 1))
    direction = generator.standard_normal((3, 1, 1))
    contrast = generator.uniform(0.45, 0.7) / np.linalg.norm(direction)
    foreground = np.clip(background + contrast * direction, 0, 1)
    image = np.where(
        mask,
        foreground + 0.06 * random_fields(3, size, beta=1, generator=generator),
        background + 0.08 * random_fields(3, size, beta=2, generator=generator),
    )
    for _ in range(2):
        radius = size * generator.uniform(0.03, 0.05)
        disc = shape_mask("disc", size, generator.uniform(0, size, 2), radius, angle=0)
        image = np.where(disc & ~mask, generator.uniform(0, 1, (3, 1, 1)), image)
    return np.clip(image + 0.02 * generator.standard_normal(image.shape), 0, 1)
