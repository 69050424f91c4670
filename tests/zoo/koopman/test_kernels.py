import numpy as np
import pytest
import scipy.linalg
import torch

from tests.tolerances import LINEAR_ALGEBRA, tolerance
from tests.zoo.koopman.systems import duffing, match
from zoo.koopman.kernels import Kernel, kernel_edmd, kernel_eigenpairs, knee, make_kernel
from zoo.koopman.residuals import data_residuals

EXACT = tolerance(torch.float64, LINEAR_ALGEBRA)
NAMES = ["gaussian", "laplacian", "lorentzian", "polynomial", "linear", "poly_exp", "poly_exp2"]


def matlab_kernel(name, xa):
    """Kernels as the authors write them, on columns: kernel_f(x, y) is a (#y, #x) array."""
    centered = xa if name == "polynomial" else xa - xa.mean(1)[:, None]
    d = np.linalg.norm(centered, axis=0).mean()

    def r2(x, y):  # by differences: the authors' inner products leave 1e-8 in distances on the diagonal
        return (abs(x[:, None, :] - y[:, :, None]) ** 2).sum(0)

    def poly(x, y):
        return (y.conj().T @ x / d**2 + 1) ** 20

    return {
        "gaussian": lambda x, y: np.exp(-r2(x, y) / d**2),
        "laplacian": lambda x, y: np.exp(-np.sqrt(r2(x, y)) / d),
        "lorentzian": lambda x, y: (1 + r2(x, y) / d**2) ** -1,
        "polynomial": poly,
        "linear": lambda x, y: y.conj().T @ x,
        "poly_exp2": lambda x, y: np.exp(-np.sqrt(r2(x, y)) / d) * poly(x, y),
        "poly_exp": lambda x, y: (np.exp(-r2(x, y) / d**2) + np.exp(-np.sqrt(r2(x, y)) / d)) * poly(x, y),
    }[name]


def matlab_kernel_resdmd(name, xa, ya, xb, count):
    kernel = matlab_kernel(name, xa)
    g1 = kernel(xa, xa)
    a1 = kernel(ya, xa).conj().T
    l1 = kernel(ya, ya)
    eigvals, u = np.linalg.eigh((g1 + g1.conj().T) / 2)
    order = np.argsort(-eigvals)[: min(count, (eigvals > 0).sum())]
    uu = u[:, order] / np.sqrt(eigvals[order])
    return (
        uu.conj().T @ a1 @ uu,
        uu.conj().T @ ((l1 + l1.conj().T) / 2) @ uu,
        g1.conj().T @ uu,
        a1 @ uu,
        kernel(xb, xa).conj().T @ uu,
    )


def snapshots(count=25, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(count, 3, dtype=dtype, generator=generator)
    return x, 0.8 * x.roll(1, 1) + 0.1 * x**2


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize("name", NAMES)
def test_matrices_are_those_of_the_authors_code(name, dtype):
    x, y = snapshots(dtype=dtype)
    other = snapshots(7, dtype)[0]
    count = 3 if name == "linear" else 6
    columns = [z.numpy().T for z in (x, y, other)]
    if dtype == torch.complex128:  # their features are antilinear in the state, ours linear
        columns = [z.conj() for z in columns]
    k, el, psi_x, psi_y, psi_b = matlab_kernel_resdmd(name, *columns, count)
    model = kernel_edmd(x, y, make_kernel(name, x), count)
    found, shown = kernel_eigenpairs(model), np.linalg.eigvals(k)
    assert match(found.eigenvalues, shown) < 1e-9 * max(1, np.abs(shown).max())
    # Bases agree up to phases, hence compare what does not depend on them.
    pairs = [
        (model.psi_x @ model.psi_x.mH, psi_x @ psi_x.conj().T),
        (model.psi_y @ model.psi_x.mH, psi_y @ psi_x.conj().T),
        (model.functions(other) @ model.psi_x.mH, psi_b @ psi_x.conj().T),
        (model.psi_x @ model.shifted @ model.psi_x.mH, psi_x @ el @ psi_x.conj().T),
    ]
    for ours, theirs in pairs:
        scale = np.abs(theirs).max()
        torch.testing.assert_close(ours / scale, torch.from_numpy(theirs) / scale, rtol=0, atol=1e-10)
    eigvals, left = scipy.linalg.eig(k, left=True, right=False)
    squares = np.real((left.conj() * (el @ left)).sum(0) / (abs(left) ** 2).sum(0) - abs(eigvals) ** 2)
    assert match(found.squares, squares) < 1e-8 * max(1, np.abs(squares).max())


def test_rkhs_residuals_are_norms_of_the_adjoint():
    x, y = snapshots()
    model = kernel_edmd(x, y, make_kernel("gaussian", x))
    pairs = kernel_eigenpairs(model)
    # (K* - conj(lambda)) w for w = sum_i c_i k_{x_i}: K* k_x = k_{F(x)}, norms by the kernel on [x, y].
    coefficients = model.basis.to(torch.complex128) @ pairs.left
    joint = torch.cat([x, y])
    gram = model.kernel(joint, joint).to(torch.complex128)
    stacked = torch.cat([-pairs.eigenvalues.conj() * coefficients, coefficients])
    norms = (stacked.conj() * (gram @ stacked)).sum(dim=0).real.clamp(min=0).sqrt()
    torch.testing.assert_close(pairs.residuals, norms, rtol=0, atol=1e-6)
    assert (pairs.residuals.diff() >= 0).all()
    torch.testing.assert_close(
        pairs.left.mH @ model.matrix.to(torch.complex128), pairs.eigenvalues[:, None] * pairs.left.mH, **EXACT
    )


def test_training_points_hide_the_error_that_fresh_ones_show():
    x, y = duffing(60, steps=1)
    fresh_x, fresh_y = duffing(200, steps=1, seed=1)
    model = kernel_edmd(x, y, make_kernel("gaussian", x))
    pairs = kernel_eigenpairs(model)
    on_training = data_residuals(model.psi_x, model.psi_y, pairs.eigenvalues, pairs.right)
    on_fresh = data_residuals(model.functions(fresh_x), model.functions(fresh_y), pairs.eigenvalues, pairs.right)
    assert on_training.median() < 1e-3
    assert on_fresh.median() > 0.1


def test_lengths():
    x = torch.tensor([[3.0, 4.0], [-3.0, -4.0]]).double() + 1
    assert make_kernel("gaussian", x).length == pytest.approx(5)
    assert make_kernel("gaussian", x, factor=0.9).length == pytest.approx(4.5)
    assert make_kernel("polynomial", x).length == pytest.approx((41**0.5 + 13**0.5) / 2)


def test_kernels_are_one_on_the_diagonal_exactly():
    x, _ = snapshots()
    for name in ("gaussian", "laplacian", "lorentzian"):
        assert torch.equal(make_kernel(name, x + 1e4)(x, x).diagonal(), torch.ones(25).double())


def test_the_knee_of_two_lines():
    curve = torch.cat([0.01 * torch.arange(10), 0.1 + 2.0 * torch.arange(6)]).double()
    assert knee(curve) in (9, 10)
    assert knee(torch.tensor([0.0, 0.0, 0.0, 1.0, 2.0, 3.0])) == 2


def test_fewer_functions_are_the_leading_ones():
    x, y = snapshots()
    kernel = make_kernel("gaussian", x)
    whole, few = kernel_edmd(x, y, kernel), kernel_edmd(x, y, kernel, functions=4)
    torch.testing.assert_close(few.psi_x, whole.psi_x[:, :4], **EXACT)
    shifted = kernel_edmd(x, y, kernel, cutoff=1e-3)
    assert float(torch.linalg.matrix_norm(shifted.matrix)) < float(torch.linalg.matrix_norm(whole.matrix))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, y: make_kernel("cubic", x), "name='cubic'"),
        (lambda x, y: make_kernel("gaussian", x, factor=0), "factor=0"),
        (lambda x, y: kernel_edmd(x, y[:3], Kernel("linear", 1.0)), "y="),
        (lambda x, y: kernel_edmd(x, y, Kernel("linear", 1.0), functions=0), "functions=0"),
        (lambda x, y: kernel_edmd(x, y * torch.nan, Kernel("linear", 1.0)), "y holds NaN"),
        (lambda x, y: kernel_edmd(x, y, Kernel("linear", 1.0), cutoff=-1.0), "cutoff=-1.0"),
        (lambda x, y: knee(x[:2, 0]), "values="),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(*snapshots())
