"""Vector fields on surfaces: exact ones, meshes, brain waves on a head, and anyone's points."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datamodules.surfaces.clouds import MeshField, PointCloudField
    from datamodules.surfaces.eeg import SyntheticEEG
    from datamodules.surfaces.generated import Ellipsoid, FlatTorus, KleinBottle, MoebiusStrip, Sphere, Torus

_HOMES = {
    "Ellipsoid": "generated",
    "FlatTorus": "generated",
    "KleinBottle": "generated",
    "MeshField": "clouds",
    "MoebiusStrip": "generated",
    "PointCloudField": "clouds",
    "Sphere": "generated",
    "SyntheticEEG": "eeg",
    "Torus": "generated",
}
__all__ = [
    "Ellipsoid",
    "FlatTorus",
    "KleinBottle",
    "MeshField",
    "MoebiusStrip",
    "PointCloudField",
    "Sphere",
    "SyntheticEEG",
    "Torus",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
