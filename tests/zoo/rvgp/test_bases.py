import numpy as np
import pytest
import torch
from scipy.stats import ortho_group

from datamodules.surfaces import shapes
from tests.zoo.rvgp.toys import GEOMETRY
from zoo.rvgp.bases import FAMILIES, field_basis
from zoo.spectral.connection import connection_laplacian


def kernel_of(basis):
    """The kernel in ambient coordinates, which depends on no choice of frames or eigenvectors."""
    fields = basis.ambient.flatten(0, 1)
    values = torch.tensor([1.5, 5.0, 1.0, 1.0], dtype=torch.float64)
    return fields * basis.kernel().weights(values) @ fields.T


@pytest.mark.parametrize("family", FAMILIES)
def test_old_points_keep_their_eigenfields(family):
    basis = field_basis(GEOMETRY, family, 12)
    fields, frames = basis.at(GEOMETRY.points[[5, 0, 219]])
    torch.testing.assert_close(fields, basis.tangent[[5, 0, 219]], rtol=0, atol=1e-10)
    torch.testing.assert_close(frames, basis.frames[[5, 0, 219]], rtol=0, atol=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_rotations_turn_the_kernel_with_the_points(family):
    turn = ortho_group.rvs(3, random_state=0)
    size = {"projected": 27, "ambient": 27, "curl_free": 12, "divergence_free": 12}.get(family, 24)
    plain = field_basis(GEOMETRY, family, size)
    turned = field_basis(connection_laplacian(GEOMETRY.points @ turn.T, 24, snap_k=True), family, size)
    blocks = kernel_of(plain).reshape(220, 3, 220, 3).numpy()
    expected = np.einsum("ap,ipjq,bq->iajb", turn, blocks, turn).reshape(660, 660)
    # Last eigenvalues of the graph Laplacian are apart on this cloud: no eigenspace is cut.
    np.testing.assert_allclose(kernel_of(turned).numpy(), expected, atol=1e-8)


def test_ambient_eigenfields_give_the_projected_gaussian_kernel_back():
    basis = field_basis(GEOMETRY, "ambient", 480, lengthscale=1.0)
    weights = basis.kernel().weights(torch.tensor([2**0.5, 1.0, 1.0], dtype=torch.float64))
    found = basis.prior_covariance(weights, np.arange(220), np.arange(220)).numpy()
    points = GEOMETRY.points
    squares = ((points[:, None] - points) ** 2).sum(2)
    planes = GEOMETRY.frames @ GEOMETRY.frames.transpose(0, 2, 1)
    gaussian = np.exp(-squares / (2 * points.var(axis=0).sum()))
    expected = np.einsum("iap,ij,jpb->iajb", planes, gaussian, planes)
    # The mean variance per component is that of a projected Gaussian kernel: 1.
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_gradients_converge_to_vector_harmonics():
    geometry = connection_laplacian(shapes.sphere(1500), 6)
    free = field_basis(geometry, "curl_free", 3).ambient.flatten(0, 1)
    points = torch.from_numpy(geometry.points)
    exact = (torch.eye(3, dtype=torch.float64) - points[:, :, None] * points[:, None, :]).flatten(0, 1)
    combination = torch.linalg.lstsq(free, exact).solution
    assert (free @ combination - exact).norm() < 0.2 * exact.norm()
    np.testing.assert_allclose(field_basis(geometry, "curl_free", 3).powers, 1, rtol=0.15)


def test_turned_gradients_are_orthogonal():
    curl_free, divergence_free = (field_basis(GEOMETRY, name, 10) for name in ("curl_free", "divergence_free"))
    inner = torch.einsum("ndk,ndk->nk", curl_free.tangent, divergence_free.tangent)
    assert inner.abs().max() < 1e-12
    both = field_basis(GEOMETRY, "hodge", 20)
    torch.testing.assert_close(both.tangent, torch.cat([curl_free.tangent, divergence_free.tangent], dim=2))


def test_one_sided_surfaces_have_no_right_angle():
    geometry = connection_laplacian(shapes.moebius_strip(300), 6, dim=2)
    assert field_basis(geometry, "curl_free").size == 6
    with pytest.raises(ValueError, match="not an oriented one"):
        field_basis(geometry, "divergence_free")


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="family='rbf'"):
        field_basis(GEOMETRY, "rbf")
    with pytest.raises(ValueError, match="size=99"):
        field_basis(GEOMETRY, "connection", 99)


@pytest.mark.parametrize("family", ["curl_free", "hodge"])
def test_gradients_on_two_components(family):
    sphere = shapes.sphere(80)
    apart = np.concatenate([sphere, sphere + np.array([10.0, 0.0, 0.0])])
    geometry = connection_laplacian(apart, 12, dim=2, disconnected="keep")
    both = field_basis(geometry, family, 12)
    single = field_basis(connection_laplacian(sphere, 6), family, 6)
    expected = single.eigvals.repeat_interleave(2).sort().values
    np.testing.assert_allclose(both.eigvals.sort().values, expected, rtol=1e-9)
    assert both.powers.sum().item() == pytest.approx(2 * single.powers.sum().item(), rel=1e-6)
