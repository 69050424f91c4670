"""Names, shapes and units of batch entries, in one place; everything is a tensor.

Graphs: B graphs, N nodes, E directed edges, d eigenpairs and T targets per batch. A single graph is a batch of one
without `BATCH` and `PTR`.

Images: B images of H x W pixels, at most K boxes in one of them. A batch is a dict, and a single sample a dict without
the dimension B; entries that a benchmark lacks are absent.

Dynamics: B pairs of snapshots of a state with d coordinates. A batch is a dict, and a single sample a dict without the
dimension B; a user's own states for prediction have no `WEIGHT`, and NaN for the unknown `NEXT_STATE`.

Surfaces: B points of a cloud of n points in R^D, or B fields on all of it. A batch is a dict, and a single sample a
dict without the dimension B; a user's own points have no `VECTOR`. The geometry needs the whole cloud, labelled or not:
it is `SurfaceDataModule.points`.

Earth: B photographs, as what K-class heads and other predictors say of them. A batch is a dict, and a single sample a
dict without the dimension B; a user's own have no `TRUE_CELL` and no `STRATUM`, maybe `LATLON`, and any of `VIEW`,
`COVER` and `POPULATION` may be log-densities (B, N) on all N cells of the grid, without the gates then.

Fields: B samples in the units of the benchmark, on a grid, whose axes are between those of samples and channels, or at
N points, where `INPUT` is absent. A batch is a dict, and a single sample a dict without the dimension B; a user's own
fields for prediction have no `TARGET`.

PDEs: B instances of a problem on a box with d coordinates, which share its regular grid of N_1, .., N_d nodes and the n
points where they are asked. A batch is a dict, and a single sample a dict without the dimension B; there is no `EXACT`
where the solution is not known, nor for a user's own points.

Molecules: B structures or systems of bodies, N atoms or bodies and E directed edges per batch, with the `EDGE_INDEX`,
`BATCH` and `PTR` of graphs; edges join all pairs closer than the cutoff, and their periodic images. A batch is a dict,
and a single structure a batch of one; a user's own structures for prediction have no `ENERGY`, `FORCES` and `STRESS`.
"""

X = "x"
"""(N,) int64, type of each node; 0 where nodes have no type."""

EDGE_INDEX = "edge_index"
"""(2, E) int64, source and target of each edge; every undirected edge appears in both directions."""

EDGE_ATTR = "edge_attr"
"""(E,) int64, type of each edge; 0 where edges have no type."""

Y = "y"
"""(B, T) float64, targets in the units of the benchmark; absent from a user's own graphs."""

EIGVALS = "eigvals"
"""(B, d) float64, Laplacian eigenvalues in ascending order, zero-padded."""

EIGVECS = "eigvecs"
"""(N, d) float64, orthonormal eigenvectors in columns, zero-padded."""

NUM_EIGS = "num_eigs"
"""(B,) int64, number of valid eigenpairs of each graph."""

BATCH = "batch"
"""(N,) int64, graph of each node, ascending."""

PTR = "ptr"
"""(B + 1,) int64, first node of each graph, then N."""

IMAGE = "image"
"""(B, 3, H, W) float32, RGB, normalised for the network; of a sample, uint8, or float32 in [0, 1]."""

CLEAN_IMAGE = "clean_image"
"""(B, 3, H, W) float32, the images before an attack; only where there was one."""

LABEL = "label"
"""(B,) int64, class of each image; or (B, classes) float32, 1 for each class that is present, where several may be."""

BOXES = "boxes"
"""(B, K, 4) float32, x0, y0, x1, y1 in pixels of `IMAGE`, end-exclusive (x1 = last pixel + 1), zero-padded."""

NUM_BOXES = "num_boxes"
"""(B,) int64, number of valid boxes of each image."""

BOX_LABEL = "box_label"
"""(B, K) int64, class of each box, padded with -1."""

DIFFICULT = "difficult"
"""(B, K) bool, whether the annotators marked the object as difficult to see, padded with False."""

MASK = "mask"
"""(B, H, W) uint8: 0 background, 1 object, 255 ignored; of fields (B, *grid, 1) float32, 1 where there is material, 0
in voids, where predictions are set to zero; only where there are any."""

SIZE = "size"
"""(B, 2) int64, height and width of the original image in pixels."""

FRAME = "frame"
"""(B, 4) float32, the part of the original image that `IMAGE` shows: x0, y0, x1, y1 in its pixels, end-exclusive."""

INDEX = "index"
"""(B,) int64, position of each image or pair of snapshots in its split, or among a user's inputs."""

STATE = "state"
"""(B, d) float64, the snapshots x in the units of the system; with delays, the oldest coordinates first."""

NEXT_STATE = "next_state"
"""(B, d) float64, their successors F(x), one lag later."""

SECOND_NEXT_STATE = "second_next_state"
"""(B, d) float64, a second successor of the same x, independent of the first; only of stochastic systems."""

WEIGHT = "weight"
"""(B,) float64, quadrature weights; those of a whole split sum to 1, the mass of the reference measure."""

TRAJECTORY = "trajectory"
"""(B,) int64, number of the trajectory that a pair belongs to, different in different splits."""

NODE = "node"
"""(B,) int64, the row of each point in the whole cloud; among a user's own points, its number in the file."""

POSITION = "position"
"""(B, D) float64, points of a surface, in its unit."""

VECTOR = "vector"
"""(B, D) float64, the tangent vectors there: with noise in the training split, the truth in the others."""

VECTOR_FIELD = "vector_field"
"""(B, n, D) float64, of time series: the vectors at all n points of the montage, labelled or not."""

SUBJECT = "subject"
"""(B,) int64, whose recording a field is from; each subject is in one split."""

SUBJECT_GROUP = "subject_group"
"""(B,) int64, 0 or 1, the group of the subject."""

TIME_STEP = "time_step"
"""(B,) int64, number of the field in its recording, from 0."""

TRUE_CELL = "cell"
"""(B,) int64, the cell of the grid in which a photograph was taken."""

LATLON = "latlon"
"""(B, 2) float64, where it was taken, latitude and longitude in degrees; only where a user gives it."""

STRATUM = "stratum"
"""(B,) int64, number of the set that a photograph belongs to."""

VIEW = "view"
"""(B, 3) float32, the predicted direction from the Earth's centre, times the concentration that is claimed."""

COVER = "cover"
"""(B, 10) float32, what a head claims of the land cover: the posterior of each class."""

POPULATION = "population"
"""(B, 6) float32, what a head claims of the population: the posterior of each bucket."""

BUCKET = "bucket"
"""(B,) int64, the likeliest bucket of population."""

GATE = "gate"
"""(B, 2) float32, the expected bucket as a number from 0 to 1, and the largest posterior of the cover."""

INPUT = "input"
"""(B, *grid, C) float32, fields that are given; of time series, the frames that are given, the oldest first."""

TARGET = "target"
"""(B, *grid, C) or (B, N, C) float32, fields that are to be predicted; of time series, the frames that follow."""

POSITIONS = "positions"
"""(B, N, 2) float32, the points of a cloud."""

CODE = "code"
"""(B, K) float32, numbers that describe the geometry of a cloud; only where there are any."""

SOURCE = "source"
"""(B, N_1, .., N_d) float64, right side of the equation on the grid."""

BOUNDARY = "boundary"
"""(B, N_b) float64, the solution at the nodes of the sides, lower before upper, coordinate after coordinate; corners
repeat."""

POINTS = "points"
"""(B, n, d) float64, where the solution is asked for."""

EXACT = "exact"
"""(B, n) float64, the solution there."""

NUMBERS = "numbers"
"""(N,) int64, atomic number of each atom."""

POS = "pos"
"""(N, 3) float64, positions in Angstrom."""

SHIFTS = "shifts"
"""(E, 3) float64, Angstrom; pos[target] - pos[source] + shifts is the vector of an edge."""

CELL = "cell"
"""(B, 3, 3) float64, Angstrom, rows are the cell vectors; zero where there is no cell."""

ENERGY = "energy"
"""(B,) float64, eV, total energies."""

FORCES = "forces"
"""(N, 3) float64, eV/Angstrom; NaN where unknown."""

STRESS = "stress"
"""(B, 3, 3) float64, eV/Angstrom^3, the derivative of the energy by strain over the volume; NaN where unknown."""

GROUP = "group"
"""(B,) int64, which part of a test set a structure belongs to, as a temperature; 0 if there is one part only."""

CHARGES = "charges"
"""(N,) float64, +1 or -1, of bodies."""

VELOCITIES = "velocities"
"""(N, 3) float64, of bodies."""

TARGET_POS = "target_pos"
"""(N, 3) float64, positions of bodies that are to be predicted."""
