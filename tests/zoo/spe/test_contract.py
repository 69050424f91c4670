"""SPE keeps the contract of every method, with each of its networks."""

from typing import ClassVar

import torch
from torch_geometric.data import Data

from datamodules.graphs import SubstructureCounting
from tests.contract.method import MethodContract

TARGETS = ["3-cycle", "4-cycle", "5-cycle", "6-cycle"]


class SPEContract(MethodContract):
    method = "spe"
    not_exportable_because = "cannot be exported by torch.export"

    def datamodule(self):
        return SubstructureCounting(batch_size=8, num_train=32, num_val=12, num_test=12, num_eigs=30)

    def separate(self, batch):
        return [self.graph(batch, index) for index in range(batch.num_graphs)]

    def graph(self, batch, index):
        nodes = torch.arange(batch.ptr[index], batch.ptr[index + 1])
        edges = batch.batch[batch.edge_index[0]] == index
        return Data(
            x=batch.x[nodes],
            edge_index=batch.edge_index[:, edges] - nodes[0],
            edge_attr=batch.edge_attr[edges],
            eigvals=batch.eigvals[index : index + 1],
            eigvecs=batch.eigvecs[nodes],
            num_eigs=batch.num_eigs[index : index + 1],
        )

    def property_error(self, module, batch):
        """Largest change of a prediction when eigenvectors flip their signs."""
        flipped = batch.clone()
        signs = torch.ones(batch.eigvecs.size(1), dtype=batch.eigvecs.dtype)
        signs[1::2] = -1
        flipped.eigvecs = batch.eigvecs * signs
        return float((module(flipped) - module(batch)).abs().max())

    def break_property(self, module):
        """Shift the eigenvectors, so that their signs matter."""
        spectrum = module.network.spe.spectrum

        def shifted(batch):
            z, eigvecs = spectrum(batch)
            return z, eigvecs + 0.1

        module.network.spe.spectrum = shifted


class TestSPEGINE(SPEContract):
    arguments: ClassVar = {
        "target_names": TARGETS,
        "network": "spe-gine",
        "network_kwargs": {
            "num_atom_types": 1,
            "num_bond_types": 1,
            "num_eigs": 30,
            "width": 16,
            "num_layers": 2,
            "pool": "add",
            "phi_activation": "tanh",  # the mean eigenvalue of whole spectra is 1, also an eigenvalue: ReLU's kink
            "phi_channels": 4,
            "phi_width": 8,
            "rho_layers": 2,
            "rho_width": 16,
        },
        "schedule": "constant",
        "warmup_steps": 0,
        "lr": 1e-3,
    }
    bad_arguments: ClassVar = {
        "target_names": [],
        "network": "spe-gin",
        "network_kwargs": {"width": 0},
        "optimizer": "lion",
        "lr": 0.0,
        "weight_decay": -1.0,
        "schedule": "step",
        "warmup_steps": -1,
        "final_lr": 1.0,
    }


class TestSPETransformer(SPEContract):
    arguments: ClassVar = {
        **TestSPEGINE.arguments,
        "network": "spe-transformer",
        "network_kwargs": {
            "num_atom_types": 1,
            "num_bond_types": 1,
            "num_eigs": 30,
            "width": 16,
            "num_layers": 2,
            "num_heads": 2,
            "phi_activation": "tanh",  # the mean eigenvalue of whole spectra is 1, also an eigenvalue: ReLU's kink
            "phi_channels": 4,
            "phi_width": 8,
            "rho_layers": 2,
            "rho_width": 16,
        },
    }
    bad_arguments: ClassVar = TestSPEGINE.bad_arguments
