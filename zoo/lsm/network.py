"""The registered networks: LSM on grids of one, two or three axes, and on point clouds in the plane."""

from zoo.lsm.grid_network import LSM
from zoo.lsm.point_network import PointLSM

__all__ = ["LSM", "PointLSM"]
