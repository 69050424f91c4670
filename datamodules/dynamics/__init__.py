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
    from datamodules.dynamics.published import ECG, CylinderWake, LidDrivenCavity, SeaIce, SeaLevel
    from datamodules.dynamics.stochastic import NoisyCircleMap, NoisyRotation, OrnsteinUhlenbeck
    from datamodules.dynamics.trajectories import Trajectories
    from datamodules.dynamics.vortex_street import VortexStreet

_HOMES = {
    "AnzaiTorus": "anzai",
    "ArnoldCat": "maps",
    "CellularAutomaton": "automata",
    "ChebyshevMap": "expanding",
    "CircleRotation": "maps",
    "CoarseAutomaton": "automata",
    "CylinderWake": "published",
    "DiscAdversary": "disc",
    "DoublePendulum": "mechanics",
    "DoublingMap": "expanding",
    "Duffing": "mechanics",
    "ECG": "published",
    "GaussMap": "maps",
    "KuramotoSivashinsky": "kuramoto_sivashinsky",
    "LidDrivenCavity": "published",
    "LinearSlowManifold": "maps",
    "Lorenz63": "attractors",
    "NoisyCircleMap": "stochastic",
    "NoisyRotation": "stochastic",
    "OrnsteinUhlenbeck": "stochastic",
    "Pendulum": "mechanics",
    "Roessler": "attractors",
    "SeaIce": "published",
    "SeaLevel": "published",
    "StuartLandau": "oscillators",
    "TentMap": "expanding",
    "Trajectories": "trajectories",
    "VanDerPol": "oscillators",
    "VortexStreet": "vortex_street",
}
__all__ = [
    "ECG",
    "AnzaiTorus",
    "ArnoldCat",
    "CellularAutomaton",
    "ChebyshevMap",
    "CircleRotation",
    "CoarseAutomaton",
    "CylinderWake",
    "DiscAdversary",
    "DoublePendulum",
    "DoublingMap",
    "Duffing",
    "GaussMap",
    "KuramotoSivashinsky",
    "LidDrivenCavity",
    "LinearSlowManifold",
    "Lorenz63",
    "NoisyCircleMap",
    "NoisyRotation",
    "OrnsteinUhlenbeck",
    "Pendulum",
    "Roessler",
    "SeaIce",
    "SeaLevel",
    "StuartLandau",
    "TentMap",
    "Trajectories",
    "VanDerPol",
    "VortexStreet",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
