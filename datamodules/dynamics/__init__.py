"""Dynamical systems with known truth, and anyone's trajectories, as pairs of snapshots."""

from typing import TYPE_CHECKING

from zoo.lazy import lazy

if TYPE_CHECKING:
    from datamodules.dynamics.anzai import AnzaiTorus as AnzaiTorus
    from datamodules.dynamics.attractors import Lorenz63 as Lorenz63
    from datamodules.dynamics.attractors import Roessler as Roessler
    from datamodules.dynamics.automata import CellularAutomaton as CellularAutomaton
    from datamodules.dynamics.automata import CoarseAutomaton as CoarseAutomaton
    from datamodules.dynamics.disc import DiscAdversary as DiscAdversary
    from datamodules.dynamics.expanding import ChebyshevMap as ChebyshevMap
    from datamodules.dynamics.expanding import DoublingMap as DoublingMap
    from datamodules.dynamics.expanding import TentMap as TentMap
    from datamodules.dynamics.kuramoto_sivashinsky import KuramotoSivashinsky as KuramotoSivashinsky
    from datamodules.dynamics.maps import ArnoldCat as ArnoldCat
    from datamodules.dynamics.maps import CircleRotation as CircleRotation
    from datamodules.dynamics.maps import GaussMap as GaussMap
    from datamodules.dynamics.maps import LinearSlowManifold as LinearSlowManifold
    from datamodules.dynamics.mechanics import DoublePendulum as DoublePendulum
    from datamodules.dynamics.mechanics import Duffing as Duffing
    from datamodules.dynamics.mechanics import Pendulum as Pendulum
    from datamodules.dynamics.oscillators import StuartLandau as StuartLandau
    from datamodules.dynamics.oscillators import VanDerPol as VanDerPol
    from datamodules.dynamics.published import ECG as ECG
    from datamodules.dynamics.published import CylinderWake as CylinderWake
    from datamodules.dynamics.published import LidDrivenCavity as LidDrivenCavity
    from datamodules.dynamics.published import SeaIce as SeaIce
    from datamodules.dynamics.published import SeaLevel as SeaLevel
    from datamodules.dynamics.stochastic import NoisyCircleMap as NoisyCircleMap
    from datamodules.dynamics.stochastic import NoisyRotation as NoisyRotation
    from datamodules.dynamics.stochastic import OrnsteinUhlenbeck as OrnsteinUhlenbeck
    from datamodules.dynamics.trajectories import Trajectories as Trajectories
    from datamodules.dynamics.vortex_street import VortexStreet as VortexStreet

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "anzai": ["AnzaiTorus"],
        "attractors": ["Lorenz63", "Roessler"],
        "automata": ["CellularAutomaton", "CoarseAutomaton"],
        "disc": ["DiscAdversary"],
        "expanding": ["ChebyshevMap", "DoublingMap", "TentMap"],
        "kuramoto_sivashinsky": ["KuramotoSivashinsky"],
        "maps": ["ArnoldCat", "CircleRotation", "GaussMap", "LinearSlowManifold"],
        "mechanics": ["DoublePendulum", "Duffing", "Pendulum"],
        "oscillators": ["StuartLandau", "VanDerPol"],
        "published": ["CylinderWake", "ECG", "LidDrivenCavity", "SeaIce", "SeaLevel"],
        "stochastic": ["NoisyCircleMap", "NoisyRotation", "OrnsteinUhlenbeck"],
        "trajectories": ["Trajectories"],
        "vortex_street": ["VortexStreet"],
    },
)
