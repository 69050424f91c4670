"""Ten easy classes of ImageNet, from github.com/fastai/imagenette."""

from __future__ import annotations

from typing import Any, ClassVar

from datamodules.images.folder import FolderDataModule, Splits
from datamodules.images.imagenet_classes import imagenet_classes, synset_labels
from datamodules.images.reading import list_images
from datamodules.images.records import ImageRecord, hold_out
from datamodules.module import require_integer


class Imagenette(FolderDataModule):
    """Imagenette: about 13,000 images of ten classes, no boxes; labels are those of the 1000 classes of ImageNet.

    Networks that were trained on ImageNet are thus evaluated as they are. Any other part of ImageNet with one folder
    per synset is read alike. The published val is the test split.

    Files:
        <train, val>/n01440764/*.JPEG   a folder per synset: tench n01440764, English springer n02102040, cassette
                                        player n02979186, chain saw n03000684, church n03028079, French horn n03394916,
                                        garbage truck n03417042, gas pump n03425413, golf ball n03445777, parachute
                                        n03888257

    Args:
        root: one of the folders imagenette2, imagenette2-320 and imagenette2-160 (Apache 2.0).
        num_val: number of training images held out for the validation split, chosen by `seed`, > 0.
        **options: see `ImageDataModule`.

    Raises:
        TypeError: see `ImageDataModule`.
        ValueError: an argument is out of its range; in `setup`, `root` was not given or a folder is no synset.
        FileNotFoundError: in `setup`, a folder is missing.
    """

    title: ClassVar[str] = "Imagenette"
    licence: ClassVar[str] = "Apache 2.0"
    split: ClassVar[str] = "published val as test, validation held out of train"

    def __init__(self, root: str | None = None, num_val: int = 500, **options: Any) -> None:
        super().__init__(root=root, **options)
        require_integer("num_val", num_val, least=1)
        self.num_val = num_val

    @property
    def class_names(self) -> list[str]:
        """The names of the 1000 classes of ImageNet."""
        return list(imagenet_classes().values())

    def read_records(self) -> Splits:
        """Return the images of the splits, in alphabetical order."""
        train, val = hold_out(self._read_folder("train"), self.num_val, self.seed)
        return {"train": train, "val": val, "test": self._read_folder("val")}

    def _read_folder(self, name: str) -> list[ImageRecord]:
        records = []
        for folder in sorted(path for path in self.file(name).iterdir() if path.is_dir()):
            if folder.name not in synset_labels():
                raise ValueError(f"the folder {folder} is none of the 1000 synsets of ImageNet")
            label = synset_labels()[folder.name]
            records += [ImageRecord(image, label=label) for image in list_images(folder)]
        return records
