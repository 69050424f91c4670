"""Which map is drawn, and how, in plain values that a configuration file can hold."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

from zoo.checks import require, require_choice
from zoo.eigencam.cam import MODES, Mode
from zoo.eigencam.heatmaps import FUSIONS, Fusion
from zoo.eigencam.relatives import METHODS, NEEDS_GRADIENT, WEIGHTS
from zoo.eigencam.signs import SIGNS, Sign

Smoothing = Literal["none", "eigen", "aug"]
SMOOTHINGS = ("none", "eigen", "aug")


@dataclass(frozen=True)
class MapSettings:
    """A map and its options.

    The outputs of the package `grad-cam` are those of mode="centered" (up to its arbitrary sign).

    Args:
        method: see `zoo.eigencam.relatives`.
        mode: "paper" or "centered", for "eigen" and "eigen-grad".
        sign: see `zoo.eigencam.signs`; by default "energy", and "mean" for "eigen-grad".
        rectify: set negative values of the raw map to zero; by default where the sign means something: for centred maps
            and those with a gradient.
        standardize: divide channels by their standard deviations first, for "eigen".
        shared_basis: one basis of components for all images of a batch, so that frames of a video can be compared, for
            "eigen"; the map of an image then depends on its batch.
        smooth: "eigen" takes the first component of the weighted channels instead of their sum, for "grad" and
            "grad++"; "aug" averages the heatmaps of six views of the image.
        fusion: of the heatmaps of several layers: "mean", "max", or "energy" for the mean weighted by explained
            variance.

    Raises:
        ValueError: an option is not allowed, or not for this method.
    """

    method: str = "eigen"
    mode: Mode = "paper"
    sign: Sign | None = None
    rectify: bool | None = None
    standardize: bool = False
    shared_basis: bool = False
    smooth: Smoothing = "none"
    fusion: Fusion = "mean"

    def __post_init__(self) -> None:
        """Check the options."""
        require_choice("method", self.method, METHODS)
        require_choice("mode", self.mode, MODES)
        require_choice("sign", self.sign, (None, *SIGNS))
        require_choice("rectify", self.rectify, (None, True, False))
        for name in ("standardize", "shared_basis"):
            require_choice(name, getattr(self, name), (True, False))
            require(not getattr(self, name) or self.method == "eigen", name, True, "it only with method 'eigen'")
        require_choice("smooth", self.smooth, SMOOTHINGS)
        require_choice("fusion", self.fusion, FUSIONS)
        smoothable = self.smooth != "eigen" or self.method in WEIGHTS
        require(smoothable, "smooth", self.smooth, f"'eigen' only with method {' or '.join(map(repr, WEIGHTS))}")

    @property
    def needs_gradient(self) -> bool:
        """Whether the map is of a class, through the gradient of its score."""
        return self.method in NEEDS_GRADIENT

    @property
    def rectifies(self) -> bool:
        """Whether negative values of the raw map are set to zero."""
        if self.rectify is not None:
            return self.rectify
        return self.needs_gradient or (self.method in ("eigen", "kpca") and self.mode == "centered")


def read_settings(name: str, values: dict[str, Any] | None) -> MapSettings:
    """Return the settings of a configuration.

    Args:
        name: of the argument, for the message.
        values: arguments of `MapSettings`.

    Raises:
        ValueError: one of them is unknown or not allowed.
    """
    known = [field.name for field in fields(MapSettings)]
    unknown = sorted(set(values or {}) - set(known))
    if unknown:
        raise ValueError(f"{name}.{unknown[0]} is not allowed; give any of {', '.join(known)}")
    try:
        return MapSettings(**(values or {}))
    except ValueError as error:
        raise ValueError(f"{name}.{error}") from error
