import numpy as np
import pytest
import torch
from ase import Atoms
from ase.neighborlist import neighbor_list as ase_neighbor_list

from zoo.spectral.neighbors import neighbor_list

CELLS = {
    "cubic": torch.diag(torch.tensor([4.0, 4, 4])),
    "skewed": torch.tensor([[3.0, 0.2, 0], [1.5, 2.5, 0.3], [-0.7, 0.4, 3.5]]),
}


def as_rows(source, target, vectors):
    rows = np.column_stack([source, target, np.round(np.asarray(vectors), 8)])
    return rows[np.lexsort(rows.T)]


@pytest.mark.parametrize("pbc", [(True, True, True), (True, False, True), (False, False, False), (False, True, False)])
@pytest.mark.parametrize("name", CELLS)
def test_equals_ase(name, pbc):
    cell = CELLS[name].double()
    pos = 6 * torch.rand(7, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1
    atoms = Atoms(["H"] * 7, pos.numpy(), cell=cell.numpy(), pbc=pbc)
    edge_index, shifts = neighbor_list(pos, 4.5, cell, pbc)
    vectors = pos[edge_index[1]] - pos[edge_index[0]] + shifts
    assert (vectors.norm(dim=1) < 4.5).all()
    np.testing.assert_allclose(as_rows(*edge_index, vectors), as_rows(*ase_neighbor_list("ijD", atoms, 4.5)), atol=1e-7)


def test_without_a_cell():
    pos = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 2.5, 0]])
    edge_index, shifts = neighbor_list(pos, 2.6)
    assert edge_index.tolist() == [[0, 0, 1, 2], [1, 2, 0, 0]]
    assert shifts.dtype == torch.float64
    assert not shifts.any()
    assert neighbor_list(pos[:0], 2.0)[0].shape == (2, 0)
    assert neighbor_list(pos[:1], 2.0)[0].shape == (2, 0)
