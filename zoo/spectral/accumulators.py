r"""Second moments of any amount of data: sums over rows that are the same for any chunks, shards and processes.

A row :math:`\psi \in K^W` with weight :math:`w` enters as :math:`\sqrt w\,(\psi, 1)`. With :math:`\Psi` the matrix of
all these rows, two statistics of size (W + 1)^2 say everything about them that is of second order:

    GramAccumulator    H = Psi^* Psi, a plain sum; half the products suffice, as H is Hermitian
    TSQRAccumulator    the triangular R of Psi = Q R, merged by the QR of stacked R's; H = R^* R is never formed, nor
                       the condition number squared: what H knows to 1e-8, R knows to 1e-16

The column of ones costs next to nothing and carries the weighted sums of all columns, and the weight. Rows may be given
as several blocks of columns, as (psi(x), psi(y)) for pairs of snapshots, whose G, A and L are then blocks of H. Memory
is O(chunk W + W^2), whatever the number of rows.

Source of the triangular merge: Demmel, Grigori, Hoemmen, Langou, "Communication-optimal parallel and sequential QR and
LU factorizations", SIAM J. Sci. Comput. 34 (2012).
"""

from __future__ import annotations

import cmath
import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Self

import torch
from scipy.linalg import blas, lapack
from torch import Tensor

from zoo.checks import require, require_choice, require_positive

CHUNK = 1024
"""Rows in a product: they fit the cache beside the result. On a GPU, where launching is what costs, 64 times more."""

LEAF = 256
"""Width below which a GPU computes both halves of a Hermitian product: narrower products would not fill it."""

QR_BLOCK = 32
"""Columns that LAPACK eliminates at once."""

MOST_LOST = 1e-3
"""Relative error of coefficients, cond(R) times the rounding of the features, above which they are worth a warning."""


class RowAccumulator(ABC):
    """What both statistics share: rows in chunks, weights, shards, and a state of plain tensors.

    Args:
        width: number of columns W of all blocks together, >= 1.
        dtype: torch.float64, or torch.complex128 for complex rows. Rows of lower precision are accepted; products and
            sums are taken in this one.
        shards: number of statistics that are kept apart, for error bars by leaving one out; >= 1.

    Attributes:
        statistic: (shards, W + 1, W + 1), triangular, on the device of the last rows.
        counts: (shards,) int64, numbers of rows.
        eps: the rounding of the coarsest features so far, 2e-16 in float64 and 1e-7 in float32.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(self, width: int, *, dtype: torch.dtype = torch.float64, shards: int = 1) -> None:
        require_positive(width=width, shards=shards)
        require_choice("dtype", dtype, (torch.float64, torch.complex128))
        self.width, self.dtype, self.shards = width, dtype, shards
        self.statistic = torch.zeros(shards, width + 1, width + 1, dtype=dtype)
        self.counts = torch.zeros(shards, dtype=torch.int64)
        self.eps = 0.0
        self._buffer = torch.empty(0, dtype=dtype)

    # ---- rows

    @torch.no_grad()
    def update(self, *blocks: Tensor, weights: Tensor | None = None, shard: int = 0) -> None:
        """Add rows; nothing is added if they are refused.

        Args:
            *blocks: (m, W_1), (m, W_2), ... whose widths sum to `width`, of any floating or complex dtype.
            weights: (m,) real and >= 0; ones if None.
            shard: which of the statistics they belong to.

        Raises:
            TypeError: complex rows for a real statistic.
            ValueError: shapes do not fit, a row is not finite, or a weight is negative or not finite.
        """
        self._check(blocks, weights, shard)
        if len(blocks[0]) == 0:
            return
        device = blocks[0].device
        if self.statistic.device != device:
            self.statistic, self._buffer = self.statistic.to(device), self._buffer.to(device)
        number, chunk = len(blocks[0]), CHUNK if device.type == "cpu" else 64 * CHUNK
        rows = self._rows(min(number, chunk), self._columns_first(blocks[0]))
        roots = None if weights is None else weights.to(device, torch.float64).sqrt()[:, None]
        added = self._start(self.statistic[shard])
        for first in range(0, number, chunk):
            part = slice(first, min(first + chunk, number))
            filled = rows[: part.stop - first]
            column = 0
            for block in blocks:
                filled[:, column : column + block.size(1)] = block[part]
                column += block.size(1)
            filled[:, column] = 1
            if roots is not None:
                filled *= roots[part]
            self._add(added, filled)
        # One look at the result instead of one at all rows: whatever is not finite stays in the squares.
        if not cmath.isfinite(added.diagonal().sum().item()):
            raise ValueError(_first_bad_row(blocks))
        self._finish(self.statistic[shard], added)
        self.counts[shard] += number
        self.eps = max(self.eps, *(torch.finfo(block.dtype).eps for block in blocks))

    def _rows(self, number: int, columns_first: bool) -> Tensor:
        shape = (number, self.width + 1)
        if self._buffer.numel() < math.prod(shape):
            self._buffer = torch.empty(math.prod(shape), dtype=self.dtype, device=self._buffer.device)
        flat = self._buffer[: math.prod(shape)]
        return flat.view(shape[::-1]).T if columns_first else flat.view(shape)

    def _check(self, blocks: tuple[Tensor, ...], weights: Tensor | None, shard: int) -> None:
        shapes = [tuple(block.shape) for block in blocks]
        fits = bool(shapes) and all(len(shape) == 2 and shape[0] == shapes[0][0] for shape in shapes)
        fits = fits and sum(shape[1] for shape in shapes) == self.width
        require(fits, "blocks", shapes, f"matrices of equally many rows, whose widths sum to {self.width}")
        for block in blocks:
            if block.is_complex() and not self.dtype.is_complex:
                raise TypeError(
                    f"blocks hold {block.dtype} but are summed in {self.dtype}; give dtype=torch.complex128"
                )
            if not (block.is_complex() or block.is_floating_point()):
                raise TypeError(f"blocks hold {block.dtype}; give a floating or complex dtype")
        require(0 <= shard < self.shards, "shard", shard, f"an integer from 0 to {self.shards - 1}")
        if weights is not None:
            shape, number = tuple(weights.shape), shapes[0][0]
            require(shape == (number,), "weights.shape", shape, f"({number},), one for each row")
            allowed = bool((torch.isfinite(weights) & (weights >= 0)).all())
            require(allowed, "weights", weights, "finite numbers >= 0")

    @abstractmethod
    def _columns_first(self, block: Tensor) -> bool:
        """Tell whether chunks of rows should lie in memory column by column; `block` is one of those to be copied."""

    @abstractmethod
    def _start(self, statistic: Tensor) -> Tensor:
        """Return what `_add` works on in place."""

    @abstractmethod
    def _add(self, added: Tensor, rows: Tensor) -> None:
        """Add a chunk of rows (m, W + 1), which may be overwritten."""

    @abstractmethod
    def _finish(self, statistic: Tensor, added: Tensor) -> None:
        """Take over what has been added."""

    @abstractmethod
    def _combine(self, statistics: Tensor) -> Tensor:
        """Return the statistic of all rows of some statistics (s, W + 1, W + 1)."""

    # ---- merging

    def merge(self, other: Self) -> None:
        """Add all rows of another accumulator of the same kind, shard by shard.

        Raises:
            ValueError: its width, dtype or number of shards is another.
        """
        for name in ("width", "dtype", "shards"):
            require(getattr(other, name) == getattr(self, name), f"other.{name}", getattr(other, name), "the same")
        theirs = other.statistic.to(self.statistic.device)
        for shard in range(self.shards):
            self.statistic[shard] = self._combine(torch.stack([self.statistic[shard], theirs[shard]]))
        self.counts += other.counts
        self.eps = max(self.eps, other.eps)

    def whole(self) -> Self:
        """Return an accumulator of the rows of all shards, with one shard."""
        return self._part(range(self.shards))

    def leave_one_out(self) -> Iterator[Self]:
        """Yield, for each shard, an accumulator of the rows of all the others."""
        for left_out in range(self.shards):
            yield self._part([shard for shard in range(self.shards) if shard != left_out])

    def _part(self, shards: range | list[int]) -> Self:
        part = type(self)(self.width, dtype=self.dtype)
        part.statistic = self._combine(self.statistic[list(shards)])[None].contiguous()
        part.counts = self.counts[list(shards)].sum()[None]
        part.eps = self.eps
        return part

    def copy(self) -> Self:
        """Return an accumulator of the same rows that shares nothing with this one."""
        twin = type(self)(self.width, dtype=self.dtype, shards=self.shards)
        twin.load_state_dict(self.state_dict())
        return twin

    # ---- results

    @property
    def count(self) -> int:
        """The number of rows."""
        return int(self.counts.sum())

    @property
    def weight(self) -> float:
        """The sum of the weights of all rows."""
        return float(self._product()[-1, -1].real)

    @property
    def sums(self) -> Tensor:
        """The weighted sum of each column: (W,)."""
        return self._product()[-1, :-1]

    @property
    def gram(self) -> Tensor:
        """The sum of w psi^* psi over all rows: (W, W) Hermitian."""
        return self._product()[:-1, :-1]

    @abstractmethod
    def _product(self) -> Tensor:
        """Return Psi^* Psi: (W + 1, W + 1) Hermitian."""

    @abstractmethod
    def condition(self, columns: slice = slice(None)) -> float:
        """Return the condition number of the weighted rows, restricted to some columns; infinite beyond what is known.

        It is largest over smallest singular value of the triangular factor of these columns.
        """

    def warn_if_ill_conditioned(self, columns: slice = slice(None)) -> None:
        """Warn if coefficients in these columns are lost in the rounding of the features: cond(R) eps > 1e-3."""
        condition = self.condition(columns)
        if condition * self.eps > MOST_LOST:
            warnings.warn(
                f"cond(R) = {condition:.1e} of features rounded to {self.eps:.1e}: coefficients may be wrong by "
                f"{condition * self.eps:.0e} of themselves; use an orthogonal or smaller dictionary, or float64",
                stacklevel=2,
            )

    # ---- state

    def state_dict(self) -> dict[str, Tensor]:
        """Return copies of all that the accumulator knows, as plain tensors on the CPU."""
        eps = torch.tensor(self.eps, dtype=torch.float64)
        state = {"statistic": self.statistic, "counts": self.counts, "eps": eps}
        return {name: tensor.cpu().clone() for name, tensor in state.items()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take over the result of `state_dict`, copying it.

        Raises:
            ValueError: it is of another width, dtype or number of shards.
        """
        own = self.state_dict()
        require(state.keys() == own.keys(), "state", sorted(state), f"the entries {', '.join(own)}")
        for name, tensor in own.items():
            kind = tuple(state[name].shape), state[name].dtype
            require(kind == (tuple(tensor.shape), tensor.dtype), name, kind, f"{tuple(tensor.shape)}, {tensor.dtype}")
        # Contiguous, too: BLAS adds to it in place.
        self.statistic = state["statistic"].clone(memory_format=torch.contiguous_format).to(self.statistic.device)
        self.counts, self.eps = state["counts"].cpu().clone(), float(state["eps"])


class GramAccumulator(RowAccumulator):
    """The Gram matrix of rows: sums of float64 (complex128) products, exact where the sums are exact integers.

    The statistic is the lower triangle of H. See `RowAccumulator` for the arguments.
    """

    def _columns_first(self, block: Tensor) -> bool:
        # As the features lie, for transposing them takes longer than computing them.
        return not self.dtype.is_complex and block.stride(0) < block.stride(1)

    def _start(self, statistic: Tensor) -> Tensor:
        return torch.zeros_like(statistic)

    def _add(self, added: Tensor, rows: Tensor) -> None:
        if rows.device.type != "cpu":
            _add_lower_product(added, rows)
            return
        # Torch offers no Hermitian product. Fortran sees the transposes: the lower triangle of H as an upper one.
        multiply = blas.zherk if rows.is_complex() else blas.dsyrk
        columns_first = rows.stride(0) < rows.stride(1)
        factor = rows.numpy() if columns_first else rows.numpy().T
        multiply(1.0, factor, beta=1.0, c=added.numpy().T, trans=int(columns_first), overwrite_c=1)

    def _finish(self, statistic: Tensor, added: Tensor) -> None:
        statistic += added.tril_()

    def _combine(self, statistics: Tensor) -> Tensor:
        return statistics.sum(0)

    def _product(self) -> Tensor:
        lower = self._combine(self.statistic)
        return lower + lower.tril(-1).mH

    def condition(self, columns: slice = slice(None)) -> float:
        """See `RowAccumulator.condition`; infinite above 1e7 or so, as products know no more."""
        values = torch.linalg.eigvalsh(self.gram[columns, columns])
        floor = len(values) * torch.finfo(torch.float64).eps * values[-1]
        return float((values[-1] / values[0]).sqrt()) if values[0] > floor else math.inf


class TSQRAccumulator(RowAccumulator):
    """The triangular factor R of rows, with a real diagonal >= 0: as accurate as if all rows were factorised at once.

    The statistic is R. It takes about three times as long as `GramAccumulator`. See `RowAccumulator` for the arguments.
    """

    @property
    def factor(self) -> Tensor:
        """R of the rows without the column of ones: (W, W) upper triangular."""
        return self._combine(self.statistic)[:-1, :-1]

    def _columns_first(self, block: Tensor) -> bool:
        return True

    def _start(self, statistic: Tensor) -> Tensor:
        return statistic.clone()

    def _add(self, added: Tensor, rows: Tensor) -> None:
        if rows.device.type != "cpu":
            added.copy_(torch.linalg.qr(torch.cat([added, rows]), mode="r").R)
            return
        earlier = added[added.any(1)]
        if len(earlier) + len(rows) <= len(added):
            # So few rows would be eliminated again and again, remainders of remainders, until these underflow.
            factor = torch.linalg.qr(torch.cat([earlier, rows]), mode="r").R
            added.zero_()[: len(factor)] = factor
            return
        # Eliminates the rows against a triangle, whose zeros a QR of the stack would eliminate once more.
        eliminate = lapack.ztpqrt if rows.is_complex() else lapack.dtpqrt
        triangle, *_ = eliminate(0, min(QR_BLOCK, len(added)), added.numpy(), rows.numpy(), overwrite_b=1)
        added.copy_(torch.from_numpy(triangle))

    def _finish(self, statistic: Tensor, added: Tensor) -> None:
        statistic.copy_(_with_positive_diagonal(added))

    def _combine(self, statistics: Tensor) -> Tensor:
        if len(statistics) == 1:
            return statistics[0].clone()
        return _with_positive_diagonal(torch.linalg.qr(statistics.flatten(0, 1), mode="r").R)

    def _product(self) -> Tensor:
        factor = self._combine(self.statistic)
        return factor.mH @ factor

    def condition(self, columns: slice = slice(None)) -> float:
        """See `RowAccumulator.condition`; infinite above 1e15 or so."""
        values = torch.linalg.svdvals(self.factor[:, columns])
        floor = len(values) * torch.finfo(torch.float64).eps * values[0]
        return float(values[0] / values[-1]) if values[-1] > floor else math.inf


def _add_lower_product(result: Tensor, rows: Tensor) -> None:
    """Add the lower triangle of rows^* rows, and some of the upper, at little more than half of the products."""
    width = rows.size(1)
    if width <= LEAF:
        result.addmm_(rows.mH, rows)
        return
    half = width // 2
    left, right = rows[:, :half], rows[:, half:]
    _add_lower_product(result[:half, :half], left)
    _add_lower_product(result[half:, half:], right)
    result[half:, :half].addmm_(right.mH, left)


def _with_positive_diagonal(factor: Tensor) -> Tensor:
    diagonal = factor.diagonal()
    phases = torch.where(diagonal == 0, torch.ones_like(diagonal), diagonal.sgn())
    return (phases.conj()[:, None] * factor).triu_()


def _first_bad_row(blocks: tuple[Tensor, ...]) -> str:
    for number, block in enumerate(blocks):
        bad = (~torch.isfinite(block)).any(1).nonzero()
        if len(bad):
            return f"blocks: row {int(bad[0])} of block {number} holds NaN or infinity; remove or replace it"
    return "blocks: products of these rows are beyond the largest float64; scale them down"
