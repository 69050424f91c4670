"""A user's own images, to train on and to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from datamodules.images.folder import FolderDataModule, Splits
from datamodules.images.module import SPLITS
from datamodules.images.reading import SUFFIXES, list_images
from datamodules.images.records import ImageRecord, hold_out


class ImageFolder(FolderDataModule):
    """Any images: png, jpg, jpeg, bmp or webp, of any size and mode, with one folder per class or without classes.

    Classes are numbered in the alphabetical order of their folders' names. What is missing of validation and test
    images is held out of the training images by `seed`. Images without classes are all of them in the test split.

    Files:
        <train, val, test>/<class>/*.jpg   split by hand; val and test may be absent
        or <class>/*.jpg                   split at random
        or *.jpg                           without classes

    Args:
        root: the folder.
        val_fraction: part of the training images that is held out for validation where there is no val, in (0, 1).
        test_fraction: likewise for testing where there is no test.
        **options: see `ImageDataModule`.

    Raises:
        TypeError: see `ImageDataModule`.
        ValueError: an argument is out of its range; in `setup`, `root` was not given or holds no image.
        FileNotFoundError: in `setup`, the folder is missing.
    """

    title: ClassVar[str] = "the user's images"
    licence: ClassVar[str] = "the user's"
    split: ClassVar[str] = "folders train, val and test; else held out at random"

    def __init__(
        self, root: str | None = None, val_fraction: float = 0.1, test_fraction: float = 0.1, **options: Any
    ) -> None:
        super().__init__(root=root, **options)
        for name, value in (("val_fraction", val_fraction), ("test_fraction", test_fraction)):
            if not 0 < value < 1:
                raise ValueError(f"{name}={value} is not allowed; give a number between 0 and 1")
        self.fractions = {"val": val_fraction, "test": test_fraction}

    @property
    def class_names(self) -> list[str]:
        """The names of the folders of the classes; none for images without classes."""
        return sorted({folder.name for home in self._homes().values() for folder in _folders(home)})

    def read_records(self) -> Splits:
        """Return the images of the splits, in alphabetical order."""
        labels = {name: label for label, name in enumerate(self.class_names)}
        if not labels:
            return {"test": [ImageRecord(path) for path in self._some(list_images(self.file()))]}
        splits = {
            split: [
                ImageRecord(path, label=labels[folder.name])
                for folder in _folders(home)
                for path in list_images(folder)
            ]
            for split, home in self._homes().items()
        }
        self._some(splits["train"])
        number = {split: max(1, round(part * len(splits["train"]))) for split, part in self.fractions.items()}
        for split in self.fractions:
            if split not in splits:
                splits["train"], splits[split] = hold_out(splits["train"], number[split], self.seed)
        return splits

    def _homes(self) -> dict[str, Path]:
        """Return the folder that holds the classes of each split."""
        root = self.file()
        if not (root / "train").is_dir():
            return {"train": root}
        return {split: root / split for split in SPLITS if (root / split).is_dir()}

    def _some(self, found: list[Any]) -> list[Any]:
        if not found:
            raise ValueError(f"{self.root} holds no image ending in {', '.join(SUFFIXES)}{self._expected()}")
        return found


def _folders(home: Path) -> list[Path]:
    return sorted(path for path in home.iterdir() if path.is_dir())
