"""Names, shapes and units of the entries of a batch of points on a surface.

B points of a cloud in R^D. A batch is a dict, and a single sample a dict without the dimension B. The geometry needs
the whole cloud, labelled or not: it is `SurfaceDataModule.points`, and `NODE` says which of its points a sample is.
"""

NODE = "node"
"""(B,) int64, the row of each point in the whole cloud."""

POSITION = "position"
"""(B, D) float64, the point, in the unit of the surface."""

VECTOR = "vector"
"""(B, D) float64, the tangent vector there: with noise in the training split, the truth in the others; absent from a
user's own points."""

FIELD = "field"
"""(B, n, D) float64, of time series: the vectors at all n points of the montage, labelled or not."""

SUBJECT = "subject"
"""(B,) int64, whose recording a field is from; each subject is in one split."""

GROUP = "group"
"""(B,) int64, 0 or 1, the group of the subject."""

FRAME = "frame"
"""(B,) int64, the number of the field in the recording."""
