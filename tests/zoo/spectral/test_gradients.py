import numpy as np

from zoo.spectral.connection import connection_laplacian
from zoo.spectral.gradients import gradients


def test_gradients_of_linear_functions_are_exact():
    points = np.concatenate([np.random.default_rng(0).random((60, 2)), np.zeros((60, 1))], axis=1)
    geometry = connection_laplacian(points, 2, dim=2)
    slopes = np.array([[1.0, 2.0, 0.0], [-3.0, 0.5, 0.0]])
    source, target = geometry.edge_index
    found = gradients(geometry, (values[target] - values[source] for values in slopes @ points.T))
    ambient = np.einsum("npd,ndk->knp", geometry.frames, found)
    np.testing.assert_allclose(ambient, np.broadcast_to(slopes[:, None], ambient.shape), atol=1e-10)


def test_a_direction_without_edges_has_no_slope():
    points = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [3.0, 0.0]])
    frames = np.broadcast_to(np.eye(2), (4, 2, 2))
    geometry = connection_laplacian(points, 2, frames=frames, edge_index=np.array([[0, 1, 2], [1, 2, 3]]))
    source, target = geometry.edge_index
    found = gradients(geometry, [2 * (points[target, 0] - points[source, 0])])
    np.testing.assert_allclose(found[:, :, 0], np.tile([2.0, 0.0], (4, 1)), atol=1e-12)
