"""Localisation on the validation images of ImageNet (ILSVRC 2012)."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from tqdm.auto import tqdm

from datamodules.images.folder import FolderDataModule, Splits
from datamodules.images.imagenet_classes import imagenet_classes, synset_labels
from datamodules.images.records import ImageRecord, hold_out
from datamodules.images.voc_xml import read_voc_xml
from datamodules.module import require_integer

PATIENCE = 2  # seconds after which a progress bar is worth its line


class ImageNetLocalization(FolderDataModule):
    """The 50,000 validation images of ILSVRC 2012 with the boxes of their objects, for evaluation only.

    All are the test split, unless some are held out to choose thresholds by. The label is the rank of the synset.

    Files:
        ILSVRC/
            Data/CLS-LOC/val/ILSVRC2012_val_00000001.JPEG ...
            Annotations/CLS-LOC/val/ILSVRC2012_val_00000001.xml ...
                <annotation>
                    <size> <width>500</width> <height>375</height> </size>
                    <object> <name>n01751748</name>
                        <bndbox> <xmin>111</xmin> <ymin>108</ymin> <xmax>441</xmax> <ymax>193</ymax> </bndbox>
                    </object> ...

    Args:
        root: folder with ILSVRC; the images are not ours to give (non-commercial research, image-net.org).
        num_val: number of images held out for the validation split, chosen by `seed`, >= 0.
        **options: see `ImageDataModule`.

    Raises:
        TypeError: see `ImageDataModule`.
        ValueError: an argument is out of its range; in `setup`, `root` was not given or a file cannot be used.
        FileNotFoundError: in `setup`, a file is missing.
    """

    title: ClassVar[str] = "ImageNet localisation"
    licence: ClassVar[str] = "non-commercial research"
    split: ClassVar[str] = "ILSVRC 2012 validation"

    def __init__(self, root: str | None = None, num_val: int = 0, **options: Any) -> None:
        super().__init__(root=root, **options)
        require_integer("num_val", num_val, least=0)
        self.num_val = num_val

    @property
    def class_names(self) -> list[str]:
        """The names of the 1000 classes."""
        return list(imagenet_classes().values())

    def read_records(self) -> Splits:
        """Return all images that have an annotation, in the order of their numbers."""
        images = self.file("ILSVRC", "Data", "CLS-LOC", "val")
        annotations = sorted(self.file("ILSVRC", "Annotations", "CLS-LOC", "val").glob("*.xml"))
        records = []
        for path in tqdm(annotations, desc="ImageNet annotations", unit="file", delay=PATIENCE):
            found = read_voc_xml(path)
            labels = [synset_labels().get(name) for name in found.names]
            if not labels or None in labels:
                raise ValueError(f"{path} names the objects {found.names}; give one or more of the 1000 synsets")
            records.append(
                ImageRecord(
                    images / f"{path.stem}.JPEG",
                    label=labels[0],
                    boxes=found.boxes,
                    box_labels=np.array(labels),
                    boxes_size=found.size,
                )
            )
        test, val = hold_out(records, self.num_val, self.seed)
        return {"val": val, "test": test}
