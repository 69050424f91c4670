import subprocess
import sys

import pytest

import datamodules
from datamodules.module import ZooDataModule


def test_importing_the_package_loads_no_lightning():
    code = (
        "import sys, datamodules, datamodules.graphs; datamodules.list_datamodules(); print('lightning' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"


def test_every_listed_datamodule_is_one():
    paths = datamodules.list_datamodules()
    names = {
        "dynamics": [
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
            "ECG",
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
        ],
        "earth": ["SyntheticEarth"],
        "fields": [
            "Airfoil",
            "Burgers",
            "Darcy",
            "Elasticity",
            "ElasticityGrid",
            "NavierStokes",
            "Pipe",
            "Plasticity",
        ],
        "graphs": ["SubstructureCounting", "ZINC"],
        "images": ["CUB", "ImageFolder", "ImageNetLocalization", "Imagenette", "Pets", "ShapeTex", "VOC", "WSOL"],
        "molecules": ["AcAc", "ExtXYZ", "MorseMolecules", "NBody", "ThreeBPA"],
        "pdes": ["HighFrequencyPDE"],
        "surfaces": [
            "Ellipsoid",
            "FlatTorus",
            "KleinBottle",
            "MeshField",
            "MoebiusStrip",
            "PointCloudField",
            "Sphere",
            "SyntheticEEG",
            "Torus",
        ],
    }
    assert paths == [f"datamodules.{folder}.{name}" for folder in names for name in names[folder]]
    for path in paths:
        folder, name = path.rsplit(".", 1)
        assert issubclass(getattr(sys.modules[folder], name), ZooDataModule)


def test_list_is_filtered_by_pattern():
    assert datamodules.list_datamodules("*ZINC") == ["datamodules.graphs.ZINC"]


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="QM9"):
        datamodules.graphs.QM9  # noqa: B018
