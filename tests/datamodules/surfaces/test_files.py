import numpy as np
import pytest

from datamodules.surfaces.files import read_cloud, read_mesh
from tests.paths import SHARED

POINTS = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
VECTORS = np.array([[1.0, 2, 3], [np.nan] * 3, [4, 5, 6], [7, 8, 9]])
FACES = np.array([[0, 1, 2], [0, 2, 3]])
MESHES = {
    ".obj": "# a comment\no thing\nv 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 2 3\nf 1 3 4\n",
    ".off": "OFF\n4 2 0\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n3 0 1 2\n3 0 2 3\n",
    ".ply": "ply\nformat ascii 1.0\nelement vertex 4\nproperty float x\nproperty float y\nproperty float z\n"
    "element face 2\nproperty list uchar int vertex_indices\nend_header\n"
    "0 0 0\n1 0 0\n0 1 0\n0 0 1\n3 0 1 2\n3 0 2 3\n",
}


@pytest.mark.parametrize("suffix", MESHES)
def test_meshes(tmp_path, suffix):
    pytest.importorskip("trimesh")
    path = tmp_path / f"mesh{suffix}"
    path.write_text(MESHES[suffix])
    cloud = read_cloud(path)
    np.testing.assert_array_equal(cloud.points, POINTS)
    np.testing.assert_array_equal(cloud.faces, FACES)
    assert cloud.vectors is None


@pytest.mark.skipif(SHARED is None, reason="the mesh of the bunny is not there")
def test_bunny():
    pytest.importorskip("trimesh")
    cloud = read_mesh(SHARED / "data/rvgp/bunny.obj")
    assert cloud.points.shape == (2503, 3) and cloud.faces.shape == (4968, 3)
    np.testing.assert_allclose(np.ptp(cloud.points, axis=0), [0.155, 0.154, 0.120], atol=1e-3)


def test_tables(tmp_path):
    path = tmp_path / "field.csv"
    path.write_text("vx,x,y,z,vy,vz\n1,0,0,0,2,3\n,1,0,0,,\n4,0,1,0,5,6\n7,0,0,1,8,9\n")
    cloud = read_cloud(path)
    np.testing.assert_array_equal(cloud.points, POINTS)
    np.testing.assert_array_equal(cloud.vectors, VECTORS)
    path.write_text("x,y,vx,vy\n0,0,1,2\n1,0,nan,nan\n")
    assert read_cloud(path).points.shape == (2, 2)
    path.write_text("label,x,y,z\nE1,0,0,0\nE2,1,0,0\n")
    assert read_cloud(path).vectors is None


def test_archives(tmp_path):
    path = tmp_path / "field.npz"
    np.savez(path, points=POINTS.astype(np.float32), vectors=VECTORS, faces=FACES)
    cloud = read_cloud(path)
    np.testing.assert_array_equal(cloud.points, POINTS)
    np.testing.assert_array_equal(cloud.vectors, VECTORS)
    np.testing.assert_array_equal(cloud.faces, FACES)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "x,y,z\n", "holds 1 lines"),
        ("a.csv", "x,y,z,vx,vy,vz\n0,0,0,1,2\n", "line 2 has 5 fields"),
        ("a.csv", "x,y,z,vx,vy,vz\n0,0,zero,1,2,3\n", "line 2 has 'zero' as z"),
        ("a.csv", "x,y,z,vx,vy,vz\n0,0,,1,2,3\n", "line 2 has '' as z"),
        ("a.csv", "x,y,z,vx,vy,vz\n0,0,inf,1,2,3\n", "position of point 0 is not finite"),
        ("a.csv", "x,y,z,vx,vy,vz\n0,0,0,1,,3\n", "vector at point 0 is incomplete"),
        ("a.csv", "a,b\n0,0\n", "has the columns a, b"),
        ("a.npz", "nonsense", "cannot be read"),
        ("a.obj", "v 0 0 0\n", "mesh"),
        ("a.xyz", "0 0 0\n", "has the suffix '.xyz'"),
    ],
)
def test_faults_are_named(tmp_path, name, content, message):
    pytest.importorskip("trimesh")
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        read_cloud(path)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": POINTS}, "give an array points"),
        ({"points": POINTS[0]}, r"points is float64 \(3,\)"),
        ({"points": POINTS, "vectors": VECTORS[:2]}, "vectors is float64"),
        ({"points": POINTS, "faces": POINTS}, "faces is float64"),
        ({"points": np.array([[None]])}, "cannot be read"),
    ],
)
def test_faults_of_archives_are_named(tmp_path, arrays, message):
    path = tmp_path / "a.npz"
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match=message):
        read_cloud(path)


def test_missing_files():
    with pytest.raises(FileNotFoundError, match=r"nowhere\.csv"):
        read_cloud("nowhere.csv")
