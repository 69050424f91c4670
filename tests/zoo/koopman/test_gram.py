import pytest
import torch

from tests.tolerances import LINEAR_ALGEBRA, tolerance
from tests.zoo.koopman.systems import random_snapshots
from zoo.koopman.gram import (
    assemble,
    blocks,
    merge_triangles,
    select,
    square_triangle,
    triangle_of_gram,
    triangle_of_snapshots,
)

EXACT = tolerance(torch.float64, LINEAR_ALGEBRA)


def gram_of(psi_x, psi_y, weights):
    rows = torch.cat([psi_x, psi_y], dim=1)
    return rows.mH @ (weights[:, None] * rows)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize("snapshots", [40, 7, 3])
def test_factors_square_to_the_gram_matrix(dtype, snapshots):
    data = random_snapshots(4, snapshots, dtype=dtype)
    gram = gram_of(*data)
    for triangle in (triangle_of_snapshots(*data), triangle_of_gram(gram)[0]):
        assert triangle.shape == (8, 8)
        assert not triangle.tril(-1).any()
        torch.testing.assert_close(triangle.mH @ triangle, gram, **EXACT)


def test_blocks_have_the_first_index_as_the_bra():
    psi_x, psi_y, weights = random_snapshots()
    gram, cross, shifted = blocks(gram_of(psi_x, psi_y, weights))
    torch.testing.assert_close(cross[1, 2], (weights * psi_x[:, 1].conj() * psi_y[:, 2]).sum(), **EXACT)
    torch.testing.assert_close(assemble(gram, cross, shifted), gram_of(psi_x, psi_y, weights), **EXACT)


@pytest.mark.parametrize("parts", [[40], [1, 39], [13, 13, 14], [5] * 8])
def test_factors_merge_whatever_the_shards(parts):
    psi_x, psi_y, weights = random_snapshots(5)
    shards = [part.split(parts) for part in (psi_x, psi_y, weights)]
    merged = merge_triangles([triangle_of_snapshots(*shard) for shard in zip(*shards, strict=True)])
    whole = triangle_of_snapshots(psi_x, psi_y, weights)
    relative = torch.linalg.matrix_norm(merged.mH @ merged - whole.mH @ whole) / torch.linalg.matrix_norm(whole) ** 2
    assert relative < 1e-13


def test_integer_gram_matrices_do_not_depend_on_the_shards():
    generator = torch.Generator().manual_seed(0)
    rows = torch.randint(-9, 10, (60, 8), generator=generator).double()
    total = sum(part.mH @ part for part in rows.split(7))
    assert torch.equal(total, rows.mH @ rows)


def test_a_part_of_the_dictionary_needs_no_data():
    psi_x, psi_y, weights = random_snapshots(5)
    chosen = torch.tensor([3, 0])
    found = select(triangle_of_snapshots(psi_x, psi_y, weights), chosen)
    expected = gram_of(psi_x[:, chosen], psi_y[:, chosen], weights)
    torch.testing.assert_close(found.mH @ found, expected, **EXACT)


def test_weights_default_to_the_mean():
    psi_x, psi_y, _ = random_snapshots(3, 20)
    triangle = triangle_of_snapshots(psi_x, psi_y)
    torch.testing.assert_close(
        triangle.mH @ triangle, gram_of(psi_x, psi_y, torch.full((20,), 0.05)), rtol=0, atol=1e-7
    )


def test_negative_leaks_are_clamped_and_reported():
    gram = torch.diag(torch.tensor([1.0, 2.0, 1.0, 4.0])).double()
    gram[0, 2] = gram[2, 0] = 1 + 1e-3
    triangle, clamped = triangle_of_gram(gram)
    assert clamped == pytest.approx(2e-3, rel=1e-3)
    found, expected = blocks(triangle.mH @ triangle), blocks(gram)
    for one, other in zip(found[:2], expected[:2], strict=True):  # G and A are kept
        torch.testing.assert_close(one, other, **EXACT)
    torch.testing.assert_close(found[2], expected[2], rtol=0, atol=3e-3)
    assert triangle_of_gram(torch.eye(4).double())[1] == 0


def test_a_tall_factor_becomes_square():
    tall = torch.randn(9, 4, generator=torch.Generator().manual_seed(0)).double()
    torch.testing.assert_close(square_triangle(tall).T @ square_triangle(tall), tall.T @ tall, **EXACT)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"psi_y": torch.ones(40, 5)}, r"psi_y=\(40, 5\) is not allowed; give the shape of psi_x"),
        ({"psi_x": torch.ones(40)}, "psi_x.*one row for each snapshot"),
        ({"weights": -torch.ones(40)}, "weights=-1.0 is not allowed; give numbers >= 0"),
        ({"weights": torch.ones(39)}, "weights.*one weight for each snapshot"),
    ],
)
def test_bad_snapshots_are_refused(change, message):
    psi_x, psi_y, weights = random_snapshots()
    arguments = {"psi_x": psi_x, "psi_y": psi_y, "weights": weights} | change
    with pytest.raises(ValueError, match=message):
        triangle_of_snapshots(**arguments)


def test_rows_that_are_not_finite_are_named():
    psi_x, psi_y, weights = random_snapshots()
    psi_y[17, 2] = torch.nan
    with pytest.raises(ValueError, match="psi_y holds NaN or infinity, first at index 17"):
        triangle_of_snapshots(psi_x, psi_y, weights)


@pytest.mark.parametrize("gram", [torch.ones(3, 3), torch.tensor([[1.0, 2.0], [0.0, 1.0]]), torch.ones(4, 2)])
def test_what_is_no_gram_matrix_is_refused(gram):
    with pytest.raises(ValueError, match=r"gram=.* is not allowed"):
        triangle_of_gram(gram)
