"""Predictors by name: what each says of an image, in which entry of the batch, and how it becomes a log-map.

    point      entry (B, 3): predicted direction times concentration
    attribute  entry (B, K): class posterior of a head; a map knows the classes of all cells
    static     entry (B,) int64: which of G maps that do not depend on the image, such as priors; the first without it
    map        entry (B, N): a log-map as it is

An entry with as many columns as there are cells is a log-map already, whatever the kind: users may give their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

import torch
from torch import Tensor, nn

from zoo.checks import require, require_choice, require_finite, require_positive
from zoo.geolocation.indices import check_indices
from zoo.geolocation.log_maps import DIVIDE_BY, DivideBy, attribute_log_map, floored, point_log_map
from zoo.registry import unknown
from zoo.spectral.grids import HEALPixGrid
from zoo.spectral.sphere import direction

Kind = Literal["point", "attribute", "static", "map"]
KINDS: tuple[Kind, ...] = ("point", "attribute", "static", "map")


@dataclass(frozen=True)
class Predictor:
    """How a predictor becomes a log-map.

    Attributes:
        kind: see above.
        entry: of the batch; the predictor's name if None.
        source: name of the map of an attribute, or of static maps; the predictor's name if None.
        size: number of classes K, or of static maps G.
        divide_by: of attributes, see `attribute_log_map`.
        power: of attributes, see `attribute_log_map`.
        pooled: whether it belongs to the ensemble, or only to what that is compared with.
    """

    kind: Kind
    entry: str | None = None
    source: str | None = None
    size: int = 1
    divide_by: DivideBy = "train_prior"
    power: float = 1.0
    pooled: bool = True


def read_predictors(given: Mapping[str, Mapping[str, Any]]) -> dict[str, Predictor]:
    """Return predictors from plain values, in the order of their names.

    Raises:
        ValueError: there is none, a name, a field or a value is not allowed.
    """
    require(isinstance(given, Mapping) and bool(given), "predictors", given, "one or more, by name")
    known = [field.name for field in fields(Predictor)]
    read = {}
    # In an order that a file which sorts its keys does not change: coefficients go by it.
    for name, values in sorted(given.items()):
        require(name.isidentifier(), "predictors", name, "names of letters, digits and underscores")
        for key in values:
            if key not in known:
                raise unknown(f"field of predictors.{name}", key, known)
        require("kind" in values, f"predictors.{name}", dict(values), f"a kind: one of {', '.join(KINDS)}")
        predictor = Predictor(**values)
        require_choice(f"predictors.{name}.kind", predictor.kind, KINDS)
        require_choice(f"predictors.{name}.divide_by", predictor.divide_by, DIVIDE_BY)
        require_choice(f"predictors.{name}.pooled", predictor.pooled, (True, False))
        require_positive(**{f"predictors.{name}.size": predictor.size})
        require_finite(**{f"predictors.{name}.power": predictor.power})
        read[name] = predictor
    sizes: dict[tuple[str, str], int] = {}
    for name, predictor in read.items():
        if predictor.kind in ("attribute", "static"):
            source = (predictor.kind, predictor.source or name)
            same = sizes.setdefault(source, predictor.size) == predictor.size
            require(same, f"predictors.{name}.size", predictor.size, f"{sizes[source]}, as others of the same source")
    return read


class Predictors(nn.Module):
    """The predictors of an ensemble with the maps that they need, on a HEALPix grid.

    Args:
        predictors: by name, see `read_predictors`.
        nside: resolution of the grid.
        floor: share of a map that says nothing, in [0, 1); with 0 what is forbidden stays so, -inf. Points have none.

    Attributes:
        sources: names of the maps that are needed. Buffers `map_<source>`: of attributes (K, N) float32 fractions, of
            statics (G, N) float32 log-densities; and of attributes, `prior_<source>` (K,) float32. Before `fill` they
            say nothing.
        one: () float32 buffer, whose dtype is that of all maps.
    """

    one: Tensor
    _directions: Tensor
    _log_base: Tensor

    def __init__(self, predictors: Mapping[str, Predictor], nside: int, floor: float) -> None:
        super().__init__()
        grid = HEALPixGrid(nside)
        self.predictors, self.floor, self.n = dict(predictors), floor, grid.n
        self.register_buffer("one", torch.ones(()))
        # In float64, as what is not stored is not cast where weights of another dtype are loaded.
        self.register_buffer("_directions", direction(grid.centers), persistent=False)
        self.register_buffer("_log_base", (grid.areas / grid.areas.sum()).log(), persistent=False)
        self.sources: dict[str, Predictor] = {}
        for name, predictor in self.predictors.items():
            source = predictor.source or name
            if predictor.kind not in ("attribute", "static") or source in self.sources:
                continue
            self.sources[source] = predictor
            if predictor.kind == "attribute":
                self.register_buffer(f"map_{source}", torch.full((predictor.size, self.n), 1 / predictor.size))
                self.register_buffer(f"prior_{source}", torch.full((predictor.size,), 1 / predictor.size))
            else:
                self.register_buffer(f"map_{source}", torch.zeros(predictor.size, self.n))

    @property
    def log_base(self) -> Tensor:
        """Log masses (N,) of the uniform density."""
        return self._log_base.to(self.one.dtype)

    def fill(self, maps: Mapping[str, Tensor], priors: Mapping[str, Tensor]) -> None:
        """Take over maps.

        Args:
            maps: of each source: of attributes (K, N) fractions, or (N,) int64 classes; of statics (G, N)
                log-densities, -inf allowed, which are floored and normalised here.
            priors: of each attribute (K,), frequencies of the classes in the training of its head.

        Raises:
            ValueError: a map is missing, of another shape, NaN, a class is none, or fractions are negative or do not
                sum to 1.
        """
        for source, predictor in self.sources.items():
            require(source in maps, "maps", sorted(maps), f"a map named {source!r}, too")
            buffer, values = self.get_buffer(f"map_{source}"), maps[source]
            if predictor.kind == "attribute":
                require(source in priors, "priors", sorted(priors), f"frequencies of the classes of {source!r}, too")
                if not values.is_floating_point():
                    check_indices(f"map of {source}", values, predictor.size, self.n)
                    values = torch.nn.functional.one_hot(values, predictor.size).T.to(buffer)
                prior = priors[source]
                shape = (tuple(values.shape), tuple(prior.shape))
                needed = (tuple(buffer.shape), (predictor.size,))
                require(shape == needed, f"shapes of {source}", shape, f"{needed}: map and prior")
                positive = bool((values >= 0).all()) and bool((prior >= 0).all())
                require(positive, f"map or prior of {source}", "NaN or negative", "fractions >= 0, and a prior >= 0")
                sums = bool(((values.sum(0) - 1).abs() < 1e-4).all()) and abs(float(prior.sum()) - 1) < 1e-4
                require(sums, f"sums of {source}", "others", "fractions of each cell, and a prior, that sum to 1")
                self.get_buffer(f"prior_{source}").copy_(prior)
            else:
                shape_, needed_ = tuple(values.shape), tuple(buffer.shape)
                require(shape_ == needed_, f"shape of {source}", shape_, f"{needed_}")
                fine = bool((values < torch.inf).all()) and bool(torch.isfinite(values).any(1).all())
                require(fine, f"map of {source}", "NaN, +inf or -inf alone", "log-densities; -inf is allowed in some")
                base = self.log_base.to(torch.float64)
                values = floored(values.to(torch.float64) + base, base, self.floor) - base
            buffer.copy_(values)

    def forward(self, batch: Mapping[str, Tensor], names: Iterable[str]) -> dict[str, Tensor]:
        """Return the log-maps (B, N) of some predictors for a batch by name, all finite unless the floor is 0.

        Raises:
            ValueError: an entry is missing, of another shape, NaN, too large, or a row of it says nothing.
        """
        return {name: self._log_map(name, batch) for name in names}

    def _log_map(self, name: str, batch: Mapping[str, Tensor]) -> Tensor:
        predictor = self.predictors[name]
        entry, source = predictor.entry or name, predictor.source or name
        if predictor.kind == "static":
            maps = self.get_buffer(f"map_{source}")
            if entry not in batch:
                number = len(next(iter(batch.values())))
                return maps[:1].expand(number, -1)
            chosen = batch[entry]
            if chosen.dim() != 1:
                return self._given(name, chosen)
            check_indices(entry, chosen, predictor.size)
            return maps[chosen]
        require(entry in batch, "batch", sorted(batch), f"an entry {entry!r}, which predictors.{name} reads")
        values = batch[entry]
        if predictor.kind == "map" or values.shape[1:] == (self.n,):
            return self._given(name, values)
        width = 3 if predictor.kind == "point" else predictor.size
        require(
            values.shape[1:] == (width,), f"{entry}.shape", tuple(values.shape), f"(B, {width}), or maps (B, {self.n})"
        )
        values = values.to(self.one)
        if predictor.kind == "point":
            # The concentration, as finite directions may have an infinite norm.
            fine = bool(torch.isfinite(values.norm(dim=1)).all())
            require(fine, entry, "NaN or too large", f"numbers whose norms are finite in {values.dtype}")
            return point_log_map(values, self._directions.to(self.one.dtype))
        fine = bool((torch.isfinite(values) & (values >= 0)).all()) and bool((values > 0).any(1).all())
        require(fine, entry, "NaN, infinite, negative or all 0", "masses of classes, finite and >= 0, not all 0")
        fractions = self.get_buffer(f"map_{source}")
        prior = self.get_buffer(f"prior_{source}")
        if predictor.divide_by == "area":
            prior = fractions @ self.log_base.exp()
        return attribute_log_map(values, fractions, prior, predictor.divide_by, predictor.power, self.floor)

    def land(self) -> Tensor:
        """Return where there is land, (N,) of 0 and 1, if a static map of this name says so; else zeros."""
        if "land" not in self.sources or self.sources["land"].kind != "static":
            return torch.zeros(self.n)
        density = self.get_buffer("map_land")[0]
        return (density > density.max() - 1).float()

    def _given(self, name: str, values: Tensor) -> Tensor:
        shape = tuple(values.shape)
        require(shape[1:] == (self.n,), f"shape of {name}", shape, f"(B, {self.n}), a number for each cell")
        values = values.to(self.one)
        fine = bool((values < torch.inf).all()) and bool(torch.isfinite(values).any(1).all())
        require(
            fine, name, "NaN, +inf or -inf alone", f"log-densities, finite in {values.dtype}; -inf is allowed in some"
        )
        # Log-densities to log masses and back: the floor is one of masses.
        return floored(values + self.log_base, self.log_base, self.floor) - self.log_base
