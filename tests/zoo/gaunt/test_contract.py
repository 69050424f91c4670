"""Force fields keep the contract of every method, with and without brackets."""

from typing import ClassVar

import torch
from torch import nn

from datamodules.molecules import MorseMolecules
from tests.contract.method import MethodContract
from tests.zoo.gaunt.features import rotation


class NodeEnergies(nn.Module):
    """What of a force field can be exported: energies of atoms. Forces are their derivatives."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, elements, vectors, edge_index):
        return self.network.node_energies(elements, vectors, edge_index)


class GauntContract(MethodContract):
    method = "gaunt"
    overfit_steps = 120
    conv: ClassVar[str]
    arguments: ClassVar = {
        "elements": [1, 6, 7, 8],
        "network_kwargs": {
            "r_max": 4.0,
            "channels": 4,
            "lmax_edge": 2,
            "lmax_hidden": 1,
            "correlation": 2,
            "readout_width": 4,
            "atomic_energies": [-13.5, -1029.0, -1485.0, -2042.0],
            "scale": 1.2,
            "shift": -1.2,
            "avg_num_neighbors": 4.5,
        },
        "schedule": "constant",
        "lr": 1e-3,
    }
    arguments_across_ranks: ClassVar = {"optimizer": "sgd", "lr": 1e-6}
    bad_arguments: ClassVar = {
        "elements": [0],
        "network": "gaunt-forcefield",
        "network_kwargs": {"channels": 0},
        "energy_weight": -1.0,
        "forces_weight": -1.0,
        "group_names": ["300K", "300K"],
        "optimizer": "lion",
        "lr": 0.0,
        "weight_decay": -1.0,
        "schedule": "step",
        "warmup_steps": -1,
        "final_lr": 1.0,
    }

    def module(self, **changes):
        kwargs = {**self.arguments["network_kwargs"], "conv": self.conv}
        module = super().module(**{"network_kwargs": kwargs, **changes})
        for readout in module.network.readouts:  # which are zero at first, and so would be the energy
            nn.init.normal_(readout[-1].weight, std=0.1)
        return module

    def datamodule(self):
        return MorseMolecules(batch_size=4, num_train=16, num_val=6, num_test=6)

    def separate(self, batch):
        samples = []
        for number, (start, end) in enumerate(zip(batch["ptr"][:-1], batch["ptr"][1:], strict=True)):
            edges = batch["batch"][batch["edge_index"][0]] == number
            samples.append(
                {
                    "numbers": batch["numbers"][start:end],
                    "pos": batch["pos"][start:end],
                    "edge_index": batch["edge_index"][:, edges] - start,
                    "shifts": batch["shifts"][edges],
                    "batch": torch.zeros(int(end - start), dtype=torch.int64),
                    "ptr": torch.tensor([0, int(end - start)]),
                    "cell": batch["cell"][number : number + 1],
                }
            )
        return samples

    def exportable(self, module, batch):
        source, target = batch["edge_index"]
        vectors = (batch["pos"][target] - batch["pos"][source]).float()
        return NodeEnergies(module.network), (module.network.lookup[batch["numbers"]], vectors, batch["edge_index"])

    def property_error(self, module, batch):
        """Largest change of an atom's energy, or of its turned force, when a structure is turned."""
        matrix = rotation()
        before, after = module(batch), module({**batch, "pos": batch["pos"] @ matrix.T})
        energies = (after["node_energy"] - before["node_energy"]).abs().max()
        forces = (after["forces"] - before["forces"] @ matrix.T).abs().max()
        return float(max(energies, forces))

    def break_property(self, module):
        """Weigh the points of the many-body grid wrongly, as too few of them would."""
        module.network.layers[-1].many_body.projection[::2] *= 1.1


class TestGaunt(GauntContract):
    conv = "gaunt"


class TestGauntWithBracket(GauntContract):
    conv = "gaunt+bracket"
