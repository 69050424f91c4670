"""What benchmarks on images share: the size and normalisation of images, augmentation, attacks, a user's own images."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from datamodules import keys
from datamodules.images.adversarial import fgsm, pgd
from datamodules.images.batches import Batch, Sample, collate_images, mirror
from datamodules.images.geometry import INTERPOLATIONS, Array, InterpolationName, Resize
from datamodules.images.normalization import NORMALIZATIONS, NormalizationName
from datamodules.images.reading import SUFFIXES, check_image, list_images
from datamodules.images.records import ImageFiles, ImageRecord
from datamodules.module import Samples, ZooDataModule, require_integer
from zoo.checks import require_choice

AttackName = Literal["none", "fgsm", "pgd"]

ATTACKS = {"fgsm": fgsm, "pgd": pgd}
SPLITS = ("train", "val", "test")

_MIRRORED = "mirrored"  # (B,) bool, decided on the host and obeyed on the device


class ImageDataModule(ZooDataModule):
    """Base of benchmarks on images: batches are dicts of tensors with the entries of `datamodules.keys`.

    Subclasses define `class_names`, `build_datasets` and `metadata`. Attributes `image_size` and `normalization` say
    what a network gets; mirror images in training are decided by (seed, epoch, index) alone, so that a resumed run
    and any number of workers or processes see the same.

    Args:
        image_size: height and width S of the images that the network gets, > 0.
        resize_size: length of the shorter side before the central S x S pixels are cut out, >= S, as torchvision's
            weights want it (256 for S = 224); None warps the whole image, as localisation protocols do.
        interpolation: "bilinear" or "bicubic", with antialiasing.
        normalization: of channels in [0, 1]: "imagenet", "inception" (mean and std .5), "clip", "shapetex" (mean .5,
            std .25) or "none".
        horizontal_flip: mirror every other training image, chosen at random in each epoch.
        attack: "none", or attack the images of validation, test and prediction by "fgsm" or "pgd" through the module
            that the trainer runs, see `datamodules.images.adversarial`; the clean ones are kept as `clean_image`.
        attack_epsilon: largest change of a channel in [0, 1] by the attack, between 0 and 1.
        batch_size: see `ZooDataModule`.
        num_workers: see `ZooDataModule`.
        seed: see `ZooDataModule`.
        predict_path: an image file or a folder of such, see `read_inputs`; None predicts the test set.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range, or images without labels are to be attacked.
    """

    def __init__(
        self,
        image_size: int = 224,
        resize_size: int | None = None,
        interpolation: InterpolationName = "bilinear",
        normalization: NormalizationName = "imagenet",
        horizontal_flip: bool = True,
        attack: AttackName = "none",
        attack_epsilon: float = 8 / 255,
        batch_size: int = 64,
        num_workers: int = 0,
        seed: int = 0,
        predict_path: str | None = None,
    ) -> None:
        super().__init__(batch_size=batch_size, num_workers=num_workers, seed=seed, predict_path=predict_path)
        require_integer("image_size", image_size, least=1)
        if resize_size is not None:
            require_integer("resize_size", resize_size, least=image_size)
        require_choice("interpolation", interpolation, tuple(INTERPOLATIONS))
        require_choice("normalization", normalization, tuple(NORMALIZATIONS))
        require_choice("attack", attack, ("none", *ATTACKS))
        if not 0 <= attack_epsilon <= 1:
            raise ValueError(f"attack_epsilon={attack_epsilon} is not allowed; give a number between 0 and 1")
        if attack != "none" and predict_path is not None:
            raise ValueError(f"attack={attack!r} needs labels, which the images in predict_path do not have")
        self.image_size = image_size
        self.resize = Resize(image_size, resize_size, interpolation)
        self.normalization = NORMALIZATIONS[normalization]
        self.horizontal_flip = horizontal_flip
        self.attack = attack
        self.attack_epsilon = attack_epsilon

    @property
    def class_names(self) -> list[str]:
        """The names of the classes, in the order of the labels."""
        raise NotImplementedError(f"{type(self).__name__} must define class_names")

    @property
    def target_names(self) -> list[str]:  # type: ignore[override] # known only once a folder is read
        """The names of the columns of predictions: those of the classes."""
        return self.class_names

    def target_statistics(self) -> tuple[list[float], list[float]]:
        """Return zeros and ones: classes have no scale."""
        return [0.0] * len(self.class_names), [1.0] * len(self.class_names)

    def dataset(self, split: str) -> Samples:
        """Return the split "train", "val" or "test".

        Raises:
            RuntimeError: called before `setup`.
            ValueError: the benchmark has no such images.
        """
        samples = super().dataset(split)
        if not len(samples):
            raise ValueError(f"{type(self).__name__} has no images in the split {split!r}")
        return samples

    def prepare_data(self) -> None:
        """Generate what is missing, or look for the files; one process of each machine calls it."""
        if self.predict_path is None:
            self.setup()

    def collate(self, samples: list[Sample]) -> Batch:
        """Return the batch of some samples, with normalised images."""
        return collate_images(samples, self.normalization)

    def read_inputs(self, path: str) -> tuple[list[str], ImageFiles]:
        """Find a user's images, which are read when they are predicted, upright as their EXIF entries say.

        Args:
            path: an image file, or a folder with png, jpg, jpeg, bmp or webp files at any depth; of any size and mode.

        Returns:
            The names of the files, relative to the folder, and samples with `image`, `size` and `index`.

        Raises:
            ValueError: a file is no image or the folder holds none.
            FileNotFoundError: there is no such file or folder.
        """
        root = Path(path)
        paths = list_images(root) if root.is_dir() else [root]
        if not paths:
            raise ValueError(f"the folder {root} holds no image; allowed: files ending in {', '.join(SUFFIXES)}")
        for file in paths:
            check_image(file)
        names = [file.relative_to(root).as_posix() if root.is_dir() else file.name for file in paths]
        return names, ImageFiles([ImageRecord(file) for file in paths], self.resize, upright=True)

    def provenance(self) -> dict[str, Any]:
        """Return the part of `metadata` that every benchmark on images has."""
        attacked = {} if self.attack == "none" else {"attack": self.attack, "attack_epsilon": self.attack_epsilon}
        return {
            "sizes": {split: len(samples) for split, samples in self.datasets.items()},
            "image_size": self.image_size,
            "normalization": self.hparams["normalization"],
            "seed": self.seed,
            **attacked,
        }

    # Decided before the batch goes to the device, where the indices would have to be waited for.
    def on_before_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """In training, decide which images of a batch are mirrored."""
        trainer: Any = self.trainer
        if not (self.horizontal_flip and trainer.training):
            return batch
        mirrored = coin(self.seed, trainer.current_epoch, batch[keys.INDEX].numpy())
        return {**batch, _MIRRORED: torch.from_numpy(mirrored)}

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Mirror the images of a training batch, or attack those of any other."""
        trainer: Any = self.trainer
        if _MIRRORED in batch:
            return mirror(batch, batch.pop(_MIRRORED))
        if self.attack == "none" or trainer.training:
            return batch
        return {
            **batch,
            keys.CLEAN_IMAGE: batch[keys.IMAGE],
            keys.IMAGE: self.attacked(trainer.lightning_module, batch),
        }

    def attacked(self, module: torch.nn.Module, batch: Batch) -> Tensor:
        """Return the images of a batch as the attack changes them against a network, `module(images) -> logits`."""
        return ATTACKS[self.attack](
            module, batch[keys.IMAGE], batch[keys.LABEL], self.attack_epsilon, normalization=self.normalization
        )


def coin(seed: int, epoch: int, index: Array) -> Array:
    """Toss a fair coin for each sample.

    Args:
        seed: of the data, >= 0.
        epoch: of training, >= 0.
        index: (B,), positions of the samples in their split, >= 0.

    Returns:
        (B,) bool, a function of (seed, epoch, index) alone.
    """
    return np.array([np.random.default_rng([seed, epoch, position]).random() < 0.5 for position in index.tolist()])
