"""From sums over pairs of snapshots to eigenpairs: the closed form that every Koopman learner ends with.

A learner has a dictionary, psi: states to N values, and a matrix K with psi(F(x)) ~ psi(x) K, from which follow
eigenvalues lambda_j, eigenfunctions phi_j = psi v_j, and the modes xi_j of the state, so that

    x_n ~ sum_j lambda_j^n phi_j(x_0) xi_j.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor

from zoo.checks import require
from zoo.closed_form import ClosedForm
from zoo.koopman import edmd
from zoo.koopman.dictionaries import Dictionary
from zoo.koopman.edmd import Eigenpairs
from zoo.koopman.factors import RANK_TOLERANCE, Factors, RankDeficiencyWarning, factorize, factorize_gram
from zoo.koopman.known_pairs import CAPACITY, EMPTY, KnownPairs
from zoo.spectral.accumulators import GramAccumulator, RowAccumulator, TSQRAccumulator

Batch = dict[str, Tensor]

STATISTICS: dict[str, type[RowAccumulator]] = {"tsqr": TSQRAccumulator, "gram": GramAccumulator}


class ClosedEigenpairs(ClosedForm):
    """Base of what has eigenpairs in closed form: rows [psi(x), psi(y), x] are summed, then solved.

    Subclasses call `build` once they know the coordinates, define `make_dictionary`, and may redefine `features`,
    `eigenpairs` and `solve`.
    """

    eigenvalues: Tensor
    right: Tensor
    matrix: Tensor
    coefficients: Tensor
    modes: Tensor
    rank: Tensor
    statistic: Tensor
    known: Tensor
    is_complex: bool
    num_features: int

    # ---- what subclasses may choose

    @property
    def statistic_name(self) -> str:
        """Which statistic is summed: "tsqr" or "gram"."""
        return "tsqr"

    @property
    def successors(self) -> int:
        """Number of successors of every state."""
        return 1

    @property
    def rank_tolerance(self) -> float:
        """Relative singular value below which functions are dropped."""
        return RANK_TOLERANCE

    @property
    def feature_dtype(self) -> torch.dtype:
        """The precision of the features."""
        return torch.float64

    # ---- what depends on the coordinates

    def make_dictionary(self, dim: int) -> Dictionary:
        """Return the dictionary of states (M, dim); called once."""
        raise NotImplementedError(f"{type(self).__name__} must define make_dictionary()")

    def build(self, target_names: list[str]) -> None:
        """Make everything whose shape follows from the coordinates of a state.

        Args:
            target_names: names of the coordinates, of all snapshots of a window, the oldest first.

        Raises:
            ValueError: a name is repeated, or there are not as many for each snapshot.
        """
        names, delays = list(target_names), self.hparams["delays"]
        distinct = len(names) > 0 and len(set(names)) == len(names)
        require(distinct, "target_names", target_names, "one or more distinct names")
        require(len(names) % delays == 0, "target_names", f"{len(names)} names", f"{delays} snapshots of equally many")
        if self.hparams["target_names"] is None:
            self.hparams["target_names"] = names
        self.target_names = names[-(len(names) // delays) :]
        self.dictionary = self.make_dictionary(len(names))
        with torch.no_grad():
            probe = self.features(torch.zeros(1, len(names), dtype=torch.float64))
        size, observed = probe.shape[1], len(self.target_names)
        self.num_features, self.is_complex = size, probe.is_complex()
        pair = (2,) if self.is_complex else ()
        width = (1 + self.successors) * size + observed + 1
        shapes = {
            "eigenvalues": (size, 2),
            "right": (size, size, 2),
            "modes": (size, observed, 2),
            "matrix": (size, size, *pair),
            "coefficients": (size, observed, *pair),
            "statistic": (width, width, *pair),
        }
        for name, shape in shapes.items():
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("rank", torch.zeros((), dtype=torch.int64))
        self.register_buffer("known", torch.full((CAPACITY,), EMPTY))

    def adapt(self, states: Tensor) -> None:
        """Place the dictionary where the states (M, dim) are, if it asks for it."""
        self.dictionary.adapt(states)

    # ---- from statistics to eigenpairs

    @property
    def rows_dtype(self) -> torch.dtype:
        """The type of the sums' rows."""
        return torch.complex128 if self.is_complex else torch.float64

    def features(self, x: Tensor) -> Tensor:
        """Return the dictionary at states (M, dim): (M, N), real or complex."""
        return self.dictionary(x)

    def blocks(self, batch: Batch) -> list[Tensor]:
        """Return psi(x), psi(y) and, for two successors, psi(y2) of a batch, (M, N) each."""
        names = ["state", "next_state", "second_next_state"][: 1 + self.successors]
        missing = [name for name in names if name not in batch]
        require(not missing, "batch", sorted(batch), f"entries {', '.join(names)}")
        return [self.features(batch[name]) for name in names]

    def observed(self, states: Tensor) -> Tensor:
        """Return the newest snapshot of states (M, dim): (M, len(target_names))."""
        return states[:, -len(self.target_names) :]

    def new_statistics(self) -> dict[str, Any]:
        """Return the accumulator of the rows [psi(x), psi(y), x], and the sample of the pairs themselves.

        Raises:
            ValueError: the coordinates are not known yet.
        """
        names = self.hparams["target_names"]
        require(names is not None, "target_names", names, "the names of the coordinates, or the data to fit first")
        kind = STATISTICS[self.statistic_name]
        return {"pairs": kind(len(self.statistic) - 1, dtype=self.rows_dtype), "known": KnownPairs()}

    def restored_statistics(self) -> dict[str, Any]:
        """Return the statistics of the present solution, to be continued."""
        pairs = self.new_statistics()["pairs"]
        pairs.statistic = self._restored("statistic").clone()[None]
        pairs.counts[0] = round(pairs.weight)
        return {"pairs": pairs, "known": KnownPairs(self.known)}

    def accumulate(self, batch: Batch, batch_idx: int = 0) -> None:
        """Add the pairs of a batch; see `ClosedForm`."""
        state = self.observed(batch["state"])
        self.statistics["pairs"].update(*self.blocks(batch), state.double(), weights=batch.get("weight"))
        self.statistics["known"].update(batch["state"], batch["next_state"])

    def solve(self, statistics: dict[str, Any]) -> dict[str, Tensor]:
        """Return the eigenpairs of the pairs added up, and all that predictions need."""
        accumulator = statistics["pairs"]
        whole = accumulator.whole()
        # Weights of whatever sum: the pairs count as many as they are, also beside those that may be added later.
        share = max(whole.count, 1) / (whole.weight or 1.0)
        statistic = whole.statistic[0].cpu() * (share if self.statistic_name == "gram" else share**0.5)
        factors, cross = self._factors(statistic)
        if factors.distrusts(self.feature_dtype):
            warnings.warn(
                f"the dictionary's condition number is {factors.condition:.1e}, too large for {self.feature_dtype} "
                "features: use an orthogonal or smaller dictionary, or float64",
                stacklevel=2,
            )
        coefficients = factors.basis @ (factors.basis.mH @ cross)
        pairs = self.eigenpairs(factors)
        return {
            **self.pairs_as_buffers(pairs, edmd.modes(pairs, factors, coefficients)),
            "matrix": self._stored(pairs.matrix),
            "coefficients": self._stored(coefficients),
            "statistic": self._stored(statistic),
            "known": statistics["known"].hashes,
        }

    def eigenpairs(self, factors: Factors) -> Eigenpairs:
        """Return the eigenpairs of the orthonormal form of the data: those of EDMD unless redefined."""
        return edmd.edmd(factors)

    def pairs_as_buffers(self, pairs: Eigenpairs, modes: Tensor) -> dict[str, Tensor]:
        """Return the buffers of r eigenpairs and their modes (r, d), filled up with zeros."""
        size, rank = self.num_features, len(pairs.eigenvalues)

        def padded(tensor: Tensor, dim: int) -> Tensor:
            shape = list(tensor.shape)
            shape[dim] = size
            whole = torch.zeros(shape, dtype=torch.complex128)
            whole.narrow(dim, 0, rank).copy_(tensor)
            return torch.view_as_real(whole)

        return {
            "eigenvalues": padded(pairs.eigenvalues, 0),
            "right": padded(pairs.right, 1),
            "modes": padded(modes, 0),
            "rank": torch.tensor(rank),
        }

    def _stored(self, tensor: Tensor) -> Tensor:
        return torch.view_as_real(tensor.to(torch.complex128)) if self.is_complex else tensor

    def _restored(self, name: str) -> Tensor:
        buffer = self.get_buffer(name)
        return torch.view_as_complex(buffer.contiguous()) if self.is_complex else buffer

    def _factors(self, statistic: Tensor) -> tuple[Factors, Tensor]:
        """Return the orthonormal form of a training statistic, and <psi, x>, (N, number of coordinates)."""
        size, pairs = self.num_features, (1 + self.successors) * self.num_features
        if self.statistic_name == "gram":
            whole = statistic + statistic.tril(-1).mH
            return factorize_gram(self.two_blocks(whole[:pairs, :pairs], triangular=False)), whole[:size, pairs:-1]
        rows = statistic[:, :pairs]
        cross = statistic[:, :size].mH @ statistic[:, pairs:-1]
        return factorize(self.two_blocks(rows, triangular=True), tolerance=self.rank_tolerance), cross

    def two_blocks(self, statistic: Tensor, triangular: bool) -> Tensor:
        """Return a triangular factor, or Gram matrix, of pairs: itself where every state has one successor."""
        return statistic

    @property
    def is_fitted(self) -> bool:
        """Whether there are eigenpairs."""
        return hasattr(self, "rank") and int(self.rank) > 0

    def require_fitted(self) -> None:
        """Refuse what needs eigenpairs.

        Raises:
            RuntimeError: there are none yet.
        """
        if not self.is_fitted:
            raise RuntimeError(f"this {type(self).__name__} has no eigenpairs yet; call fit, or load a checkpoint")

    @property
    def eigenvalues_(self) -> Tensor:
        """The eigenvalues of one lag, (r,) complex128, by descending modulus unless the learner orders them."""
        self.require_fitted()
        return torch.view_as_complex(self.eigenvalues[: self.rank].contiguous())

    @property
    def eigenvectors_(self) -> Tensor:
        """Coefficients of the eigenfunctions in the dictionary, (N, r) complex128."""
        self.require_fitted()
        return torch.view_as_complex(self.right[:, : self.rank].contiguous())

    @property
    def modes_(self) -> Tensor:
        """Koopman modes of the state's newest snapshot, (r, number of coordinates) complex128."""
        self.require_fitted()
        return torch.view_as_complex(self.modes[: self.rank].contiguous())

    @property
    def factors(self) -> Factors:
        """The orthonormal form of the training data: what pseudospectra and spectral measures are computed from."""
        self.require_fitted()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RankDeficiencyWarning)  # said when it was fitted
            return self._factors(self._restored("statistic"))[0]
