"""Train force fields: energies and forces together, forces as derivatives of the energy."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, ClassVar, Literal

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torchmetrics import CatMetric, MetricCollection

from zoo.checks import require
from zoo.gaunt.errors import ForceFieldErrors
from zoo.gaunt.figures import parity
from zoo.gaunt.network import GauntForceField
from zoo.network_module import NetworkModule, Optimizer, Schedule

INPUTS = ("numbers", "pos", "edge_index", "shifts", "batch", "ptr", "cell")
Prediction = dict[str, Tensor]


class GauntModule(NetworkModule):
    r"""A force field, trained on energies and forces.

        loss = w_E mean_s (E_s - \hat E_s)^2 / n_s + w_F mean_s mean_i |F_i - \hat F_i|^2 / 3

    over structures s of n_s atoms: the loss of MACE's recipe for structures of equal size; for others, every structure
    counts alike. Energies of isolated atoms, scale, shift and the average number of neighbours are those of the
    datamodule's training set, where it knows them.

    Args:
        elements: atomic numbers of the elements of the data.
        network: "gaunt-force-field".
        network_kwargs: its keyword arguments but for `elements`.
        energy_weight: w_E in 1/eV^2, >= 0.
        forces_weight: w_F in Angstrom^2/eV^2, >= 0.
        group_names: names of the parts of the test set, in its order, whose errors are reported; there may be more.
        optimizer: see `NetworkModule`.
        lr: see `NetworkModule`.
        weight_decay: see `NetworkModule`.
        schedule: see `NetworkModule`.
        warmup_steps: see `NetworkModule`.
        final_lr: see `NetworkModule`.

    Raises:
        ValueError: an argument is out of its range; or see `NetworkModule` and the network.
        TypeError: see `NetworkModule` and the network.
    """

    monitor: ClassVar[str] = "val/forces_rmse"
    mode: ClassVar[Literal["min", "max"]] = "min"
    network: GauntForceField

    def __init__(
        self,
        elements: list[int],
        network: str = "gaunt-force-field",
        network_kwargs: dict[str, Any] | None = None,
        energy_weight: float = 1.0,
        forces_weight: float = 1000.0,
        group_names: list[str] | None = None,
        optimizer: Optimizer = "adam",
        lr: float = 1e-2,
        weight_decay: float = 0.0,
        schedule: Schedule = "cosine",
        warmup_steps: int = 0,
        final_lr: float = 0.0,
    ) -> None:
        require("elements" not in (network_kwargs or {}), "network_kwargs", network_kwargs, "elements as an argument")
        require(energy_weight >= 0, "energy_weight", energy_weight, "a number >= 0")
        require(forces_weight >= 0, "forces_weight", forces_weight, "a number >= 0")
        distinct = group_names is None or len(set(group_names)) == len(group_names)
        require(distinct, "group_names", group_names, "distinct names")
        self.group_names = list(group_names or [])
        self.target_names = ["energy", "forces"]
        super().__init__(
            network=network,
            network_kwargs={**(network_kwargs or {}), "elements": elements},
            optimizer=optimizer,
            lr=lr,
            weight_decay=weight_decay,
            schedule=schedule,
            warmup_steps=warmup_steps,
            final_lr=final_lr,
        )
        self.energy_weight, self.forces_weight = energy_weight, forces_weight
        self.shown = torch.nn.ModuleDict(
            {f"{kind}_{name}": CatMetric() for kind in ("predicted", "true") for name in ("energy", "forces")}
        )

    def metrics(self) -> MetricCollection:
        """Return errors in meV, meV per atom and meV/Angstrom."""
        return MetricCollection([ForceFieldErrors(self.group_names)])

    def setup(self, stage: str) -> None:
        """Take what the network needs of the training set from the datamodule.

        Raises:
            ValueError: the data has an element that is not among `elements`, edges that end before the cutoff, or
                parts of the test set with other names.
        """
        datamodule = self.trainer.datamodule  # type: ignore[attr-defined]
        reach = getattr(datamodule, "r_max", self.network.r_max)
        if reach < self.network.r_max:
            raise ValueError(f"r_max={self.network.r_max} but the data has edges up to {reach}; give the same")
        names = list(getattr(datamodule, "group_names", []))
        if len(self.group_names) > 1 and names != self.group_names[: len(names)]:
            raise ValueError(f"group_names={self.group_names!r} but the test set has the parts {names!r}; give these")
        if stage != "fit" or not hasattr(datamodule, "energy_statistics"):
            return
        statistics = datamodule.energy_statistics()
        unknown = sorted(set(statistics.atomic_energies) - set(self.network.elements))
        if unknown:
            raise ValueError(f"elements={self.network.elements} but the data has {unknown} too; add them")
        for index, number in enumerate(self.network.elements):
            self.network.atomic_energies[index] = statistics.atomic_energies.get(number, 0.0)
        for name in ("scale", "shift", "avg_num_neighbors"):
            getattr(self.network, name).fill_(getattr(statistics, name))

    def forward(self, batch: dict[str, Tensor], compute_stress: bool = False) -> Prediction:
        """Return energies and forces of a batch of structures, see `GauntForceField`."""
        return self.network({name: batch[name] for name in INPUTS if name in batch}, compute_stress)

    def _errors(self, batch: dict[str, Tensor], prediction: Prediction) -> tuple[Tensor, Tensor]:
        # E0 is subtracted in float64: of the total energies float32 holds too few digits.
        isolated = prediction["energy"].detach() - prediction["interaction_energy"].detach().double()
        target = (batch["energy"] - isolated).to(prediction["interaction_energy"].dtype)
        return prediction["interaction_energy"] - target, prediction["forces"] - batch["forces"].to(target.dtype)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int = 0) -> Tensor:
        """Return the loss of a batch."""
        energy, forces = self._errors(batch, self(batch))
        sizes = batch["ptr"].diff().to(energy.dtype)
        known = forces.isfinite()
        squares = torch.where(known, forces, 0.0).square().sum(1)
        by_structure = torch.zeros_like(energy).index_add(0, batch["batch"], squares) / (3 * sizes)
        loss = self.energy_weight * (energy.square() / sizes).mean() + self.forces_weight * by_structure.mean()
        self.log(
            "train/loss", loss, on_step=False, on_epoch=True, prog_bar=True, sync_dist=True, batch_size=len(energy)
        )
        return loss

    def _update(self, metrics: MetricCollection, batch: dict[str, Tensor]) -> Prediction:
        with torch.no_grad():
            prediction = self(batch)
        energy, forces = self._errors(batch, prediction)
        metrics.update(energy, forces, batch["ptr"].diff(), batch["batch"], batch["group"])
        return prediction

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int = 0) -> None:
        """Add a batch to the validation metrics."""
        self._update(self.val_metrics, batch)

    def test_step(self, batch: dict[str, Tensor], batch_idx: int = 0) -> None:
        """Add a batch to the test metrics and to the figure."""
        prediction = self._update(self.test_metrics, batch)
        known = batch["forces"].isfinite()
        sizes = batch["ptr"].diff()
        energy, _ = self._errors(batch, prediction)
        interaction = prediction["interaction_energy"].double()
        values = {
            "predicted_energy": interaction / sizes,
            "true_energy": (interaction - energy.double()) / sizes,
            "predicted_forces": prediction["forces"][known],
            "true_forces": batch["forces"][known],
        }
        for name, value in values.items():
            self.shown[name].update(value.float())  # type: ignore[operator]

    def predict_step(self, batch: dict[str, Tensor], batch_idx: int = 0) -> Prediction:
        """Return energies and forces, and stresses where all structures have a cell; with `ptr`."""
        cell = batch.get("cell")
        periodic = cell is not None and bool((torch.linalg.det(cell) != 0).all())
        with torch.no_grad():
            return {**self(batch, compute_stress=periodic), "ptr": batch["ptr"]}

    def reference_output(self, batch: dict[str, Tensor]) -> Tensor:
        """Return the interaction energies and forces of atoms: (N, 4)."""
        prediction = self.predict_step(batch)
        elements = self.network.lookup[batch["numbers"]]
        interaction = prediction["node_energy"] - self.network.atomic_energies[elements]
        return torch.cat([interaction.to(prediction["forces"].dtype)[:, None], prediction["forces"]], dim=1)

    def tabulate(self, prediction: Prediction) -> dict[str, Any]:
        """Return of each structure the energy in eV, the number of atoms and the largest force in eV/Angstrom."""
        ends = prediction["ptr"].tolist()
        lengths = prediction["forces"].norm(dim=1)
        largest = [lengths[start:end].max() for start, end in pairwise(ends)]
        return {
            "energy": prediction["energy"],
            "num_atoms": prediction["ptr"].diff(),
            "max_force": torch.stack(largest),
        }

    def arrays(self, prediction: Prediction) -> dict[str, Any]:
        """Return of each structure the forces, energies of atoms, and the stress where there is one."""
        sizes = prediction["ptr"].diff().tolist()
        by_atom = {"forces": prediction["forces"], "energies": prediction["node_energy"]}
        columns: dict[str, Any] = {
            name: [part.cpu().numpy() for part in values.split(sizes)] for name, values in by_atom.items()
        }
        return columns | ({"stress": prediction["stress"]} if "stress" in prediction else {})

    def figures(self) -> dict[str, Figure]:
        """Return predictions against true values of the last test epoch."""
        if not self.shown["true_energy"].update_called:
            return {}
        titles = {"energy": "interaction energy [eV/atom]", "forces": "forces [eV/Angstrom]"}
        values = {
            kind: {title: self.shown[f"{kind}_{name}"].compute().cpu() for name, title in titles.items()}  # type: ignore[operator]
            for kind in ("predicted", "true")
        }
        return {"parity": parity(values["predicted"], values["true"])}

    def on_fit_start(self) -> None:
        """Forget the predictions of an earlier test, which figures would show as the present ones."""
        self._forget_predictions()

    def on_test_epoch_start(self) -> None:
        """Forget the predictions of an earlier test."""
        self._forget_predictions()

    def _forget_predictions(self) -> None:
        for metric in self.shown.values():
            metric.reset()  # type: ignore[operator]

    def pack(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors that the network reads, by name."""
        return {name: batch[name].cpu() for name in INPUTS if name in batch}

    def unpack(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Rebuild a batch of structures from the result of `pack`."""
        return dict(tensors)
