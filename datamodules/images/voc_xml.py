"""Annotations in the XML format of PASCAL VOC, which ImageNet shares."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np

from datamodules.images.geometry import Array


class VOCAnnotation(NamedTuple):
    """The objects in an image.

    Attributes:
        size: height and width of the annotated image in pixels; None where the file does not say.
        names: of the object's classes, K of them.
        boxes: (K, 4) float64, x0, y0, x1, y1, from 0 and end-exclusive.
        difficult: (K,) bool.
    """

    size: tuple[int, int] | None
    names: list[str]
    boxes: Array
    difficult: Array


def read_voc_xml(path: Path) -> VOCAnnotation:
    """Read an annotation; its coordinates count pixels from 1 and include the last one.

    Raises:
        ValueError: the file is no such annotation; the message names it and the fault.
        FileNotFoundError: there is no such file.
    """
    try:
        root = ElementTree.parse(path).getroot()
        height, width = (int(root.findtext(f"size/{side}") or 0) for side in ("height", "width"))
        objects = root.findall("object")
        corners = [
            [float(found.findtext(f"bndbox/{name}") or "nothing") for name in ("xmin", "ymin", "xmax", "ymax")]
            for found in objects
        ]
    except (ElementTree.ParseError, ValueError) as error:
        raise ValueError(f"{path} is no annotation in the format of VOC: {error}") from error
    return VOCAnnotation(
        size=(height, width) if height > 0 and width > 0 else None,
        names=[(found.findtext("name") or "").strip() for found in objects],
        boxes=np.array(corners, dtype=np.float64).reshape(-1, 4) - [1, 1, 0, 0],
        difficult=np.array([(found.findtext("difficult") or "").strip() == "1" for found in objects], dtype=bool),
    )
