"""Dynamical systems with known truth, and anyone's trajectories, as pairs of snapshots."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datamodules.dynamics.anzai import AnzaiTorus
    from datamodules.dynamics.attractors import Lorenz63, Roessler
    from datamodules.dynamics.automata import CellularAutomaton, CoarseAutomaton
    from datamodules.dynamics.disc import DiscAdversary
    from datamodules.dynamics.expanding import ChebyshevMap, DoublingMap, TentMap
    from datamodules.dynamics.kuramoto_sivashinsky import KuramotoSivashinsky
    from datamodules.dynamics.maps import ArnoldCat, CircleRotation, GaussMap, LinearSlowManifold
    from datamodules.dynamics.mechanics import DoublePendulum, Duffing, Pendulum
    from datamodules.dynamics.oscillators import StuartLandau, VanDerPol
    from datamodules.dynamics.stochastic import NoisyCircleMap, NoisyRotation, OrnsteinUhlenbeck

_HOMES = {
    "AnzaiTorus": "anzai",
    "ArnoldCat": "maps",
    "CellularAutomaton": "automata",
    "ChebyshevMap": "expanding",
    "CircleRotation": "maps",
    "CoarseAutomaton": "automata",
    "DiscAdversary": "disc",
    "DoublePendulum": "mechanics",
    "DoublingMap": "expanding",
    "Duffing": "mechanics",
    "GaussMap": "maps",
    "KuramotoSivashinsky": "kuramoto_sivashinsky",
    "LinearSlowManifold": "maps",
    "Lorenz63": "attractors",
    "NoisyCircleMap": "stochastic",
    "NoisyRotation": "stochastic",
    "OrnsteinUhlenbeck": "stochastic",
    "Pendulum": "mechanics",
    "Roessler": "attractors",
    "StuartLandau": "oscillators",
    "TentMap": "expanding",
    "VanDerPol": "oscillators",
}
__all__ = [
    "AnzaiTorus",
    "ArnoldCat",
    "CellularAutomaton",
    "ChebyshevMap",
    "CircleRotation",
    "CoarseAutomaton",
    "DiscAdversary",
    "DoublePendulum",
    "DoublingMap",
    "Duffing",
    "GaussMap",
    "KuramotoSivashinsky",
    "LinearSlowManifold",
    "Lorenz63",
    "NoisyCircleMap",
    "NoisyRotation",
    "OrnsteinUhlenbeck",
    "Pendulum",
    "Roessler",
    "StuartLandau",
    "TentMap",
    "VanDerPol",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
