"""Vector fields on surfaces: exact ones, meshes, brain waves on a head, and anyone's points."""

from typing import TYPE_CHECKING

from zoo.lazy import lazy

if TYPE_CHECKING:
    from datamodules.surfaces.clouds import MeshField as MeshField
    from datamodules.surfaces.clouds import PointCloudField as PointCloudField
    from datamodules.surfaces.eeg import SyntheticEEG as SyntheticEEG
    from datamodules.surfaces.generated import Ellipsoid as Ellipsoid
    from datamodules.surfaces.generated import FlatTorus as FlatTorus
    from datamodules.surfaces.generated import KleinBottle as KleinBottle
    from datamodules.surfaces.generated import MoebiusStrip as MoebiusStrip
    from datamodules.surfaces.generated import Sphere as Sphere
    from datamodules.surfaces.generated import Torus as Torus

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "clouds": ["MeshField", "PointCloudField"],
        "eeg": ["SyntheticEEG"],
        "generated": ["Ellipsoid", "FlatTorus", "KleinBottle", "MoebiusStrip", "Sphere", "Torus"],
    },
)
