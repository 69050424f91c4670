"""Names, shapes and units of the entries of batches of fields: dicts of tensors, float32.

B samples, in the units of the benchmark. On grids, `INPUT` and `TARGET` have the axes of the grid between samples and
channels; on point clouds, `INPUT` is absent. A user's own fields for prediction have no `TARGET`.
"""

INPUT = "input"
"""(B, *grid, C), fields that are given; of time series, the frames that are given, the oldest first."""

TARGET = "target"
"""(B, *grid, C) or (B, N, C), fields that are to be predicted; of time series, the frames that follow."""

MASK = "mask"
"""(B, *grid, 1), 1 where there is material, 0 in voids, where predictions are set to zero; only where there are any."""

POSITIONS = "positions"
"""(B, N, 2), the points of a cloud."""

CODE = "code"
"""(B, K), numbers that describe the geometry of a cloud; only where there are any."""
