"""What benchmarks share that lie in a folder of the user's, in the format in which they were published."""

from __future__ import annotations

import hashlib
import inspect
from pathlib import Path
from typing import Any, ClassVar

from datamodules.images.module import SPLITS, ImageDataModule
from datamodules.images.records import ImageFiles, ImageRecord, digest
from datamodules.module import Samples

Splits = dict[str, list[ImageRecord]]


class FolderDataModule(ImageDataModule):
    """Base of benchmarks that are read from the original files; nothing is ever downloaded.

    Subclasses show the expected files in their docstring, between "Files:" and "Args:", set the class attributes, and
    define `class_names` and `read_records`.

    Args:
        root: folder with the files; may be None where only the user's own images are predicted and the names of the
            classes do not come from the files.
        **options: see `ImageDataModule`.

    Raises:
        TypeError: see `ImageDataModule`.
        ValueError: see `ImageDataModule`.
    """

    title: ClassVar[str]
    licence: ClassVar[str]
    split: ClassVar[str]

    def __init__(self, root: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.root = root
        self._sha256 = ""

    def read_records(self) -> Splits:
        """Return the images and annotations of each split; a split may be empty or absent."""
        raise NotImplementedError(f"{type(self).__name__} must define read_records()")

    def file(self, *parts: str) -> Path:
        """Return a file or folder below `root`.

        Raises:
            ValueError: `root` was not given.
            FileNotFoundError: it is not there; the message shows what is expected.
        """
        if self.root is None:
            raise ValueError(f"root is None; give the folder with the files of {self.title}{self._expected()}")
        path = Path(self.root, *parts)
        if not path.exists():
            raise self._missing(path)
        return path

    def build_datasets(self) -> dict[str, Samples]:
        """Return the splits as files that are read when they are asked for.

        Raises:
            ValueError: `root` was not given, or an annotation cannot be used.
            FileNotFoundError: a file is not there; the message shows what is expected.
        """
        records = self.read_records()
        root = self.file()
        try:
            parts = [f"{split} {digest(records.get(split, []), root)}" for split in SPLITS]
        except FileNotFoundError as error:
            raise self._missing(Path(error.filename)) from error
        self._sha256 = hashlib.sha256(" ".join(parts).encode()).hexdigest()
        return {split: ImageFiles(records.get(split, []), self.resize) for split in SPLITS}

    def metadata(self) -> dict[str, Any]:
        """Return the provenance of the images; `sha256` covers names, sizes and annotations of all files."""
        return {
            "name": self.title,
            "source": "the user's folder",
            "split": self.split,
            "licence": self.licence,
            "sha256": self._sha256,
            **self.provenance(),
        }

    def _missing(self, path: Path) -> FileNotFoundError:
        return FileNotFoundError(f"{path} is missing; {self.title} is never downloaded{self._expected()}")

    def _expected(self) -> str:
        _, _, text = (inspect.getdoc(type(self)) or "").partition("Files:\n")
        return f"; expected in root:\n{text.partition('Args:')[0].rstrip()}"
