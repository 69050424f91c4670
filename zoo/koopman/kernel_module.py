"""Kernel EDMD: as many functions as snapshots, known by a kernel alone."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar, get_args

import torch
from torch import Tensor

from zoo.checks import require, require_above, require_choice, require_positive
from zoo.koopman.certificate import Assumption
from zoo.koopman.closed_eigenpairs import Batch
from zoo.koopman.collector import RowCollector
from zoo.koopman.dictionaries import Dictionary
from zoo.koopman.edmd import Eigenpairs
from zoo.koopman.factors import RankDeficiencyWarning
from zoo.koopman.kernels import Kernel, KernelName, kernel_edmd, kernel_eigenpairs, make_kernel
from zoo.koopman.known_pairs import KnownPairs
from zoo.koopman.learner import KoopmanLearner
from zoo.spectral.accumulators import TSQRAccumulator
from zoo.statistics_module import StatisticsModule


class KernelFunctions(Dictionary):
    """Combinations of kernel functions k(., x_i) of training states, orthonormal in the kernel's Hilbert space.

    Args:
        dim: number of coordinates of a state.
        capacity: largest number of training states.
        functions: largest number N of functions.
        kernel: name of the kernel.
        power: of polynomials.
    """

    states: Tensor
    basis: Tensor
    length: Tensor

    def __init__(self, dim: int, capacity: int, functions: int, kernel: KernelName, power: int) -> None:
        super().__init__(dim, [f"{kernel}{i + 1}" for i in range(functions)])
        self.kernel: KernelName = kernel
        self.power = power
        self.register_buffer("states", torch.zeros(capacity, dim, dtype=torch.float64))
        self.register_buffer("basis", torch.zeros(capacity, functions, dtype=torch.float64))
        self.register_buffer("length", torch.ones((), dtype=torch.float64))

    def values(self, x: Tensor) -> Tensor:
        """Return the functions at states (M, d), (M, N) float64."""
        return Kernel(self.kernel, self.length, self.power)(x.double(), self.states) @ self.basis


class KernelEDMD(KoopmanLearner, StatisticsModule):
    """Kernel EDMD with the residuals of the kernel's Hilbert space beside those of held-out data.

    Source: Williams, Rowley and Kevrekidis, 2015; Colbrook and Townsend, 2024, arXiv 2111.14889. A kernel interpolates
    its training data: only residuals on other data say anything in L^2. Those of the Hilbert space (`rkhs_residuals_`)
    are identities of left eigenvectors and need no other data; the eigenvalues are sorted by them.

    Weights of pairs do not change the eigenpairs, as the Hilbert space's norm knows no measure.

    Args:
        kernel: "gaussian", "laplacian", "lorentzian", "polynomial", "linear", "poly_exp" or "poly_exp2", see
            `zoo.koopman.kernels.Kernel`.
        power: of polynomials.
        length_factor: multiplies the mean distance of the training states from their mean, the kernel's length.
        functions: number of functions that are kept, those of the largest eigenvalues of the kernel matrix.
        max_snapshots: largest number of training pairs, all of which are kept; more are refused.
        cutoff: times the norm of the kernel matrix, added to its diagonal.
        target_names: names of the coordinates of a state; None takes those of the data.
        delays: consecutive snapshots that make up a state, the oldest first; with a datamodule, its `delays`.
        dt: time between the states of a pair; None takes that of the data.
        horizon: lags that `predict_step` forecasts.
        shards: stretches of held-out data that the intervals of a certificate come from.
        assumption: what is known of the system, see `zoo.koopman.certificate.certify`.

    Raises:
        ValueError: an argument is out of its range.
    """

    monitor: ClassVar[str] = "val/error"

    rkhs_residuals: Tensor
    snapshots: Tensor
    filled: Tensor

    def __init__(
        self,
        kernel: KernelName = "gaussian",
        power: int = 20,
        length_factor: float = 1.0,
        functions: int = 100,
        max_snapshots: int = 1000,
        cutoff: float = 1e-14,
        target_names: list[str] | None = None,
        delays: int = 1,
        dt: float | None = None,
        horizon: int = 1,
        shards: int = 8,
        assumption: Assumption = "continuous",
    ) -> None:
        require_choice("kernel", kernel, get_args(KernelName))
        require_positive(power=power, functions=functions, max_snapshots=max_snapshots)
        require_above(0, length_factor=length_factor)
        require(cutoff >= 0, "cutoff", cutoff, "a number >= 0")
        require(functions <= max_snapshots, "functions", functions, f"at most max_snapshots={max_snapshots}")
        super().__init__()

    def make_dictionary(self, dim: int) -> KernelFunctions:
        """Return the functions, zero before there are training states."""
        h = self.hparams
        return KernelFunctions(dim, h["max_snapshots"], h["functions"], h["kernel"], h["power"])

    def build(self, target_names: list[str]) -> None:
        """See `KoopmanLearner.build`."""
        super().build(target_names)
        functions, capacity, dim = self.hparams["functions"], self.hparams["max_snapshots"], len(target_names)
        self.register_buffer("rkhs_residuals", torch.zeros(functions, dtype=torch.float64))
        self.register_buffer("snapshots", torch.zeros(capacity, 2 * dim + 1, dtype=torch.float64))
        self.register_buffer("filled", torch.zeros(capacity, dtype=torch.uint8))

    def new_statistics(self) -> dict[str, Any]:
        """Return the table of training pairs."""
        return {"pairs": RowCollector(self.snapshots.shape[1], len(self.snapshots)), "known": KnownPairs()}

    def restored_statistics(self) -> dict[str, Any]:
        """Return the table of the pairs of the present solution."""
        table = RowCollector(self.snapshots.shape[1], len(self.snapshots))
        table.load_state_dict({"rows": self.snapshots, "filled": self.filled})
        return {"pairs": table, "known": KnownPairs(self.known)}

    def accumulate(self, batch: Batch, batch_idx: int = 0) -> None:
        """Keep the pairs of a batch."""
        weights = batch["weight"] if "weight" in batch else torch.ones(len(batch["state"])).to(batch["state"])
        rows = torch.cat([batch["state"], batch["next_state"], weights[:, None]], dim=1)
        table = self.statistics["pairs"]
        table.update(rows, batch.get("index"))
        self.statistics["known"].update(batch["state"], batch["next_state"])

    def solve(self, statistics: dict[str, Any]) -> dict[str, Tensor]:
        """Return the eigenpairs of the pairs that were kept."""
        table = statistics["pairs"]
        dim, hparams = len(self.hparams["target_names"]), self.hparams
        x, y, weights = table.taken[:, :dim], table.taken[:, dim:-1], table.taken[:, -1]
        kernel = make_kernel(hparams["kernel"], x, hparams["power"], hparams["length_factor"])
        model = kernel_edmd(x, y, kernel, hparams["functions"], hparams["cutoff"])
        # Column j of psi_x has the eigenvalue of the kernel matrix as its squared norm.
        sizes = model.psi_x.square().sum(0)
        sound = int((sizes > len(x) * torch.finfo(torch.float64).eps * sizes[0]).sum())
        if sound < len(sizes):
            warnings.warn(
                f"the kernel matrix has {sound} eigenvalues above rounding, fewer than "
                f"functions={hparams['functions']}; the other functions were dropped",
                RankDeficiencyWarning,
                stacklevel=2,
            )
            model = kernel_edmd(x, y, kernel, sound, hparams["cutoff"])
        found = kernel_eigenpairs(model)
        # A few functions fewer where the kernel matrix has no more positive eigenvalues.
        size, rank = self.num_features, model.basis.shape[1]
        states, basis = (torch.zeros(len(table.rows), width).double() for width in (dim, size))
        states[: len(x)], basis[: len(x), :rank] = x, model.basis
        matrix, coefficients = torch.zeros(size, size).double(), torch.zeros(size, len(self.target_names)).double()
        residuals = torch.zeros(size).double()
        matrix[:rank, :rank], residuals[:rank] = model.matrix, found.residuals
        coefficients[:rank] = torch.linalg.lstsq(model.psi_x, self.observed(x)).solution
        right, left = (torch.zeros(size, rank, dtype=torch.complex128) for _ in range(2))
        right[:rank], left[:rank] = found.right, found.left
        modes = torch.linalg.pinv(found.right) @ coefficients[:rank].to(torch.complex128)
        psi = [torch.nn.functional.pad(part, (0, size - rank)) for part in (model.psi_x, model.psi_y)]
        rows = TSQRAccumulator(len(self.statistic) - 1)
        rows.update(*psi, self.observed(x), weights=weights * len(x) / weights.sum())
        return {
            **self.pairs_as_buffers(Eigenpairs(found.eigenvalues, right, left, matrix), modes),
            "matrix": matrix,
            "coefficients": coefficients,
            "statistic": rows.statistic[0],
            "rkhs_residuals": residuals,
            "known": statistics["known"].hashes,
            "snapshots": table.rows,
            "filled": table.filled.to(torch.uint8),
            "dictionary.states": states,
            "dictionary.basis": basis,
            "dictionary.length": torch.tensor(kernel.length, dtype=torch.float64),
        }

    @property
    def rkhs_residuals_(self) -> Tensor:
        """||(K* - conj(lambda)) w|| / ||w|| of the left eigenvectors in the kernel's Hilbert space, (r,) float64."""
        self.require_fitted()
        return self.rkhs_residuals[: self.rank]
