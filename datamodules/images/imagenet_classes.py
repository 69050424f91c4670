"""The 1000 classes of ImageNet-1k: class i is the i-th synset in alphabetical order."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def imagenet_classes() -> dict[str, str]:
    """Return the name of each synset ("n01440764" -> "tench"), in the order of the labels; names are unique."""
    lines = Path(__file__).with_suffix(".txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split(" ", 1) for line in lines)


@cache
def synset_labels() -> dict[str, int]:
    """Return the label of each synset, from 0 to 999."""
    return {synset: label for label, synset in enumerate(imagenet_classes())}
