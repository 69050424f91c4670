"""Pack the molecules of ZINC-12k's splits into the small file that comes with the package.

    python scripts/pack_zinc.py zinc_graphs.npz datamodules/graphs/zinc_surrogate.npz

The source holds all 29,445 molecules of the validation and test parts of JT-VAE's split of ZINC-250k, see
`datamodules.graphs.ZINC`; the result only those in its index arrays. Same source, same bytes.
"""

import argparse
from pathlib import Path

import numpy as np

SPLITS = ("surrogate_train_index", "official_val_index", "official_test_index")


def pack(source: Path, target: Path) -> None:
    """Write the molecules of `source` that belong to a split to `target`, both npz files."""
    with np.load(source) as file:
        arrays = dict(file)
    rows = np.sort(np.concatenate([arrays[split] for split in SPLITS]))
    kept = np.isin(np.arange(len(arrays["y"])), rows)
    atoms, bonds = np.repeat(kept, arrays["num_atoms"]), np.repeat(kept, arrays["num_bonds"])
    masks = {"num_atoms": kept, "num_bonds": kept, "y": kept, "atom_type": atoms}
    masks |= {key: bonds for key in ("bond_u", "bond_v", "bond_type")}
    packed = {key: arrays[key][mask] for key, mask in masks.items()}
    packed |= {split: np.searchsorted(rows, arrays[split]).astype(np.uint16) for split in SPLITS}
    np.savez_compressed(target, **packed)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="zinc_graphs.npz")
    parser.add_argument("target", type=Path, help="file to write")
    pack(**vars(parser.parse_args()))
