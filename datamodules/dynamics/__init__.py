"""Dynamical systems with known truth, and anyone's trajectories, as pairs of snapshots."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datamodules.dynamics.anzai import AnzaiTorus
    from datamodules.dynamics.disc import DiscAdversary
    from datamodules.dynamics.expanding import ChebyshevMap, DoublingMap, TentMap
    from datamodules.dynamics.maps import ArnoldCat, CircleRotation, GaussMap, LinearSlowManifold
    from datamodules.dynamics.stochastic import NoisyCircleMap, NoisyRotation, OrnsteinUhlenbeck

_HOMES = {
    "AnzaiTorus": "anzai",
    "ArnoldCat": "maps",
    "ChebyshevMap": "expanding",
    "CircleRotation": "maps",
    "DiscAdversary": "disc",
    "DoublingMap": "expanding",
    "GaussMap": "maps",
    "LinearSlowManifold": "maps",
    "NoisyCircleMap": "stochastic",
    "NoisyRotation": "stochastic",
    "OrnsteinUhlenbeck": "stochastic",
    "TentMap": "expanding",
}
__all__ = [
    "AnzaiTorus",
    "ArnoldCat",
    "ChebyshevMap",
    "CircleRotation",
    "DiscAdversary",
    "DoublingMap",
    "GaussMap",
    "LinearSlowManifold",
    "NoisyCircleMap",
    "NoisyRotation",
    "OrnsteinUhlenbeck",
    "TentMap",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
