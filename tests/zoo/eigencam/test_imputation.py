"""The multigrid solver against a sparse direct one, and where the solution is known."""

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg
import torch
from torch.nn.functional import interpolate

from tests.tolerances import LINEAR_ALGEBRA, tolerance
from zoo.eigencam.imputation import _cycle, _grids, impute, neighbour_sum, prolong, restrict

CLOSE = tolerance(torch.float64, LINEAR_ALGEBRA)

# Of images with values near 1: what the fixed number of iterations promises, and far below the noise that is added.
SOLVED = {torch.float64: 2e-5, torch.float32: 4e-5}


def fill_directly(image, removed):
    """Solve the sparse system of one image (C, H, W), assembled pixel by pixel."""
    height, width = removed.shape
    pixels = [tuple(pixel) for pixel in np.argwhere(removed)]
    number = {pixel: index for index, pixel in enumerate(pixels)}
    matrix = scipy.sparse.lil_matrix((len(pixels), len(pixels)))
    target = np.zeros((len(pixels), len(image)))
    for (y, x), row in number.items():
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                neighbour = (y + dy, x + dx)
                if (dy, dx) == (0, 0) or not (0 <= neighbour[0] < height and 0 <= neighbour[1] < width):
                    continue
                weight = 1 / 6 if 0 in (dy, dx) else 1 / 12
                matrix[row, row] += weight
                if neighbour in number:
                    matrix[row, number[neighbour]] -= weight
                else:
                    target[row] += weight * image[(slice(None), *neighbour)]
    filled = image.copy()
    filled[:, removed] = scipy.sparse.linalg.spsolve(matrix.tocsc(), target).reshape(len(pixels), -1).T
    return filled


def holes(name, height, width, share):
    generator = torch.Generator().manual_seed(4)
    if name == "pixels":
        values = torch.rand(1, height, width, generator=generator)
    else:
        values = interpolate(torch.rand(1, 1, 4, 4, generator=generator), size=(height, width), mode="bilinear")[0]
    return values >= values.quantile(1 - share)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("size", [(48, 48), (37, 50), (9, 64)])
@pytest.mark.parametrize("name", ["pixels", "regions"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_solution_is_that_of_a_direct_solver(dtype, size, name, share):
    removed = holes(name, *size, share)
    images = torch.randn(1, 2, *size, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    expected = torch.from_numpy(fill_directly(images[0].numpy(), removed[0].numpy()))[None]
    filled = impute(images.to(dtype), removed)
    assert filled.dtype == dtype
    torch.testing.assert_close(filled.double(), expected, rtol=0, atol=SOLVED[dtype])
    kept = ~removed[:, None].expand_as(images)
    assert torch.equal(filled[kept], images.to(dtype)[kept])


@pytest.mark.parametrize("size", [(224, 224), (75, 301)])
def test_large_holes_take_no_more_iterations(size):
    """The residual of a hole that leaves a hundredth of the image."""
    removed = holes("regions", *size, 0.99)
    images = torch.randn(1, 1, *size, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    converged = impute(images, removed, iterations=60)
    mean = neighbour_sum(converged) / neighbour_sum(torch.ones_like(converged))
    torch.testing.assert_close(converged[:, 0][removed], mean[:, 0][removed], rtol=0, atol=1e-11)
    torch.testing.assert_close(impute(images, removed), converged, rtol=0, atol=SOLVED[torch.float64])


def test_a_ramp_is_filled_with_itself():
    """Where no border is near, harmonic functions are solutions."""
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(44.0), indexing="ij")
    ramp = (0.02 * x - 0.03 * y + 0.001 * x * y)[None, None].double()
    removed = torch.zeros(1, 40, 44, dtype=torch.bool)
    removed[0, 3:37, 2:41] = True
    torch.testing.assert_close(impute(ramp, removed), ramp, rtol=0, atol=SOLVED[torch.float64])


def test_closed_forms():
    images = torch.randn(2, 3, 8, 9, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    nothing = torch.zeros(2, 8, 9, dtype=torch.bool)
    assert torch.equal(impute(images, nothing), images)
    one = nothing.clone()
    one[0, 3, 4], one[1, 0, 0] = True, True
    filled = impute(images, one)
    direct = images[0, :, [2, 4, 3, 3], [4, 4, 3, 5]].sum(1) / 6
    diagonal = images[0, :, [2, 2, 4, 4], [3, 5, 3, 5]].sum(1) / 12
    torch.testing.assert_close(filled[0, :, 3, 4], direct + diagonal, **CLOSE)
    corner = (2 * images[1, :, 0, 1] + 2 * images[1, :, 1, 0] + images[1, :, 1, 1]) / 5
    torch.testing.assert_close(filled[1, :, 0, 0], corner, **CLOSE)
    all_but_one = ~nothing
    all_but_one[:, 5, 5] = False
    constant = images[:, :, 5:6, 5:6].expand_as(images)
    torch.testing.assert_close(impute(images, all_but_one), constant, rtol=0, atol=SOLVED[torch.float64])


def test_images_of_a_batch_do_not_touch():
    images = torch.randn(3, 2, 20, 21, generator=torch.Generator().manual_seed(8), dtype=torch.float64)
    removed = torch.cat([holes("regions", 20, 21, share) for share in (0.2, 0.6, 0.95)])
    together = impute(images, removed)
    for i in range(3):
        torch.testing.assert_close(together[i : i + 1], impute(images[i : i + 1], removed[i : i + 1]), **CLOSE)


def test_the_preconditioner_is_symmetric_and_positive():
    """Conjugate gradients need it; so restriction must be the transpose of prolongation, at odd sizes too."""
    generator = torch.Generator().manual_seed(9)
    coarse = torch.randn(1, 1, 5, 6, dtype=torch.float64, generator=generator)
    fine = torch.randn(1, 1, 10, 12, dtype=torch.float64, generator=generator)
    torch.testing.assert_close((prolong(coarse) * fine).sum(), (coarse * restrict(fine)).sum(), **CLOSE)
    removed = holes("regions", 7, 10, 0.8)[:, None].double()
    basis = torch.eye(70, dtype=torch.float64).reshape(70, 1, 7, 10) * removed
    matrix = _cycle(_grids(removed.expand(70, -1, -1, -1)), basis).reshape(70, 70)
    torch.testing.assert_close(matrix, matrix.T, **CLOSE)
    assert torch.linalg.eigvalsh(matrix)[70 - int(removed.sum())] > 0.1


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match=r"removed=\(2, 8, 8\).*shape \(2, 8, 9\)"):
        impute(torch.zeros(2, 3, 8, 9), torch.zeros(2, 8, 8, dtype=torch.bool))
