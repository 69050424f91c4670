"""Small random molecules and crystals, and networks with settled weights, float64."""

import torch

from zoo.gaunt.network import GauntForceField
from zoo.spectral.neighbors import neighbor_list

R_MAX = 3.0
ELEMENTS = [1, 6, 8]


def structure(number=6, seed=0, spread=2.0, cell=None):
    """One structure: atomic numbers, positions at least 0.7 apart, and a cell."""
    generator = torch.Generator().manual_seed(seed)
    pos = torch.zeros(0, 3, dtype=torch.float64)
    while len(pos) < number:
        new = spread * torch.rand(1, 3, generator=generator, dtype=torch.float64)
        if len(pos) == 0 or (pos - new).norm(dim=1).min() > 0.7:
            pos = torch.cat([pos, new])
    kinds = torch.randint(len(ELEMENTS), (number,), generator=generator)
    return {"numbers": torch.tensor(ELEMENTS)[kinds], "pos": pos, "cell": cell}


def batch_of(*structures, r_max=R_MAX):
    edges, shifts, first = [], [], 0
    for entry in structures:
        pbc = (entry["cell"] is not None,) * 3
        edge_index, shift = neighbor_list(entry["pos"], r_max, entry["cell"], pbc)
        edges.append(edge_index + first)
        shifts.append(shift)
        first += len(entry["pos"])
    sizes = torch.tensor([len(entry["pos"]) for entry in structures])
    batch = {
        "numbers": torch.cat([entry["numbers"] for entry in structures]),
        "pos": torch.cat([entry["pos"] for entry in structures]),
        "edge_index": torch.cat(edges, dim=1),
        "shifts": torch.cat(shifts),
        "batch": torch.arange(len(structures)).repeat_interleave(sizes),
        "ptr": torch.nn.functional.pad(sizes.cumsum(0), (1, 0)),
    }
    if structures[0]["cell"] is not None:
        batch["cell"] = torch.stack([entry["cell"] for entry in structures])
    return batch


def network(conv="gaunt", dtype=torch.float64, **changes):
    torch.manual_seed(0)
    small = {"channels": 4, "lmax_edge": 2, "lmax_hidden": 1, "correlation": 3, "readout_width": 4, "conv_rank": 2}
    arguments = {**small, "avg_num_neighbors": 4.0, "atomic_energies": [-13.5, -1029.25, -2041.125], **changes}
    model = GauntForceField(ELEMENTS, R_MAX, conv=conv, **arguments)
    for parameter in model.readouts.parameters():
        torch.nn.init.normal_(parameter)
    return model.to(dtype)
