"""Names, shapes and units of batch entries of molecules; everything is a tensor.

B structures, N atoms and E directed edges per batch. A batch is a dict, and a single structure a batch of one. Entries
that a benchmark lacks are absent; of a user's own structures for prediction, `ENERGY`, `FORCES` and `STRESS`.
"""

NUMBERS = "numbers"
"""(N,) int64, atomic number of each atom."""

POS = "pos"
"""(N, 3) float64, positions in Angstrom."""

EDGE_INDEX = "edge_index"
"""(2, E) int64, source and target of each edge; all pairs closer than the cutoff, in both directions."""

SHIFTS = "shifts"
"""(E, 3) float64, Angstrom; pos[target] - pos[source] + shifts is the vector of an edge."""

BATCH = "batch"
"""(N,) int64, structure of each atom, ascending."""

PTR = "ptr"
"""(B + 1,) int64, first atom of each structure, then N."""

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
