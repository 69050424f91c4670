"""The relatives of Eigen-CAM against independent computations in numpy."""

import numpy as np
import pytest
import torch

from tests.zoo.eigencam.test_cam import F64, activations
from zoo.eigencam import relatives
from zoo.eigencam.cam import eigen_cam


@pytest.fixture
def pair():
    """Activations and gradients, (3, 40, 5, 6)."""
    gradients = torch.randn(3, 40, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    return activations(), gradients


def projection(values):
    """Return the centred projection as the package `grad-cam` computes it, without its arbitrary sign."""
    result = []
    for value in values.numpy():
        features = value.reshape(len(value), -1).T
        features = features - features.mean(0)
        _, _, vt = np.linalg.svd(features, full_matrices=True)
        result.append((features @ vt[0]).reshape(value.shape[1:]))
    return torch.tensor(np.array(result))


def test_eigen_grad_cam(pair):
    product = pair[0] * pair[1]
    found = relatives.eigen_grad_cam(*pair, mode="centered")
    torch.testing.assert_close(found.abs(), projection(product).abs(), **F64)
    for mode in ("paper", "centered"):
        found = relatives.eigen_grad_cam(*pair, mode=mode)
        direction = eigen_cam(product, mode=mode, sign="mean").maps[:, 0]
        assert torch.equal(found, direction)
    paper = relatives.eigen_grad_cam(*pair)
    assert ((paper * product.sum(1)).sum((1, 2)) > 0).all()


def test_seg_eigen_cam(pair):
    expected = projection(pair[0] * pair[1].abs())
    flip = (expected.amin((1, 2), keepdim=True).abs() > expected.amax((1, 2), keepdim=True).abs()).double()
    torch.testing.assert_close(relatives.seg_eigen_cam(*pair), expected * (1 - 2 * flip), **F64)


def test_grad_cam(pair):
    a, g = (value.numpy() for value in pair)
    expected = np.einsum("bc,bchw->bhw", g.mean((2, 3)), a)
    torch.testing.assert_close(relatives.grad_cam(*pair).numpy(), expected, **F64)


def test_grad_cam_plus_plus(pair):
    pair[1][0, 0, 0, 0] = 0
    a, g = (value.numpy() for value in pair)
    expected = np.zeros((3, 5, 6))
    for b in range(3):
        for c in range(40):
            alpha = g[b, c] ** 2 / (2 * g[b, c] ** 2 + a[b, c].sum() * g[b, c] ** 3 + 1e-6)
            expected[b] += (np.maximum(g[b, c], 0) * np.where(g[b, c] != 0, alpha, 0)).sum() * a[b, c]
    torch.testing.assert_close(relatives.grad_cam_plus_plus(*pair).numpy(), expected, rtol=1e-9, atol=1e-9)


def test_grad_cam_of_a_linear_head_is_the_class_activation_map():
    values, head = activations().requires_grad_(), torch.randn(7, 40, dtype=torch.float64)
    score = (values.mean((2, 3)) @ head.mT)[:, 2].sum()
    (gradients,) = torch.autograd.grad(score, values)
    expected = torch.einsum("c,bchw->bhw", head[2], values.detach()) / 30
    torch.testing.assert_close(relatives.grad_cam(values.detach(), gradients), expected, **F64)


def test_lafam_and_energy():
    values = activations(signed=True)
    torch.testing.assert_close(relatives.lafam(values).numpy(), values.numpy().mean(1), **F64)
    torch.testing.assert_close(relatives.energy_cam(values).numpy(), np.linalg.norm(values.numpy(), axis=1), **F64)


def test_fem():
    values = activations()
    expected = np.zeros((3, 5, 6))
    for b in range(3):
        for channel in values[b].numpy():
            expected[b] += (channel > channel.mean() + 2 * channel.std()).mean() * channel
    torch.testing.assert_close(relatives.fem(values).numpy(), expected, **F64)


@pytest.mark.parametrize("gamma", [None, 0.01])
@pytest.mark.parametrize("kernel", relatives.KERNELS)
def test_kpca_equals_the_eigenvector_of_the_centred_kernel(kernel, gamma):
    values = activations()
    scale = 1 / 40 if gamma is None else gamma
    for value, found in zip(values.numpy(), relatives.kpca_cam(values, kernel, gamma).numpy(), strict=True):
        x = value.reshape(40, -1).T
        x = x - x.mean(0)
        gram = np.array([[_kernel(kernel, scale, p, q) for q in x] for p in x])
        centering = np.eye(30) - 1 / 30
        eigvals, eigvecs = np.linalg.eigh(centering @ gram @ centering)
        np.testing.assert_allclose(np.abs(found.ravel()), np.abs(eigvecs[:, -1]) * eigvals[-1] ** 0.5, atol=1e-9)
        assert np.cov(found.ravel(), np.linalg.norm(value, axis=0).ravel())[0, 1] > 0


def _kernel(name, gamma, x, y):
    return {
        "sigmoid": lambda: np.tanh(gamma * x @ y + 1),
        "rbf": lambda: np.exp(-gamma * ((x - y) ** 2).sum()),
        "linear": lambda: x @ y,
        "poly": lambda: (gamma * x @ y + 1) ** 3,
        "cosine": lambda: x @ y / np.linalg.norm(x) / np.linalg.norm(y),
    }[name]()


def test_linear_kernel_is_eigen_cam():
    values = activations()
    expected = eigen_cam(values, mode="centered").maps[:, 0]
    torch.testing.assert_close(relatives.kpca_cam(values, "linear"), expected, rtol=1e-7, atol=1e-7)


def test_volumes(pair):
    volume, gradients = (value.reshape(3, 40, 5, 3, 2) for value in pair)
    flat, flat_gradients = (value.reshape(3, 40, 15, 2) for value in pair)
    for name, method in relatives.WITH_GRADIENT.items():
        expected = method(flat, flat_gradients).flatten(1)
        torch.testing.assert_close(method(volume, gradients).flatten(1), expected, **F64, msg=name)
    for name, method in relatives.WITHOUT_GRADIENT.items():
        torch.testing.assert_close(method(volume).flatten(1), method(flat).flatten(1), **F64, msg=name)


def test_an_unknown_kernel_is_named():
    with pytest.raises(ValueError, match="kernel='quantum'"):
        relatives.kpca_cam(activations(), "quantum")
