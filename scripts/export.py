"""Publish the checkpoint of a finished run, and bring the table of shipped checkpoints up to date.

    python scripts/export.py --run runs/spe/zinc/0 --to checkpoints/spe-zinc --provenance spe-zinc.yaml --index

The YAML (or JSON) file says what the run could not know: licence, limits, protocol, the paper's values; the fields are
those of `checkpoints.schema.PROVENANCE`.
"""

import argparse
from pathlib import Path


def main(args: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="folder of a finished run")
    parser.add_argument("--to", type=Path, help="the checkpoint folder to write; its name becomes the checkpoint's")
    parser.add_argument("--provenance", type=Path, help="what to add to the provenance")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing checkpoint folder")
    parser.add_argument("--index", action="store_true", help="write checkpoints/index.csv from the folders")
    options = parser.parse_args(args)
    if (options.run is None) != (options.to is None) or not (options.run or options.index):
        parser.error("give --run and --to, or --index, or all three")

    # Late, so that --help answers at once.
    import yaml

    from checkpoints import index
    from checkpoints.publishing import publish

    try:
        if options.run:
            provenance = yaml.safe_load(options.provenance.read_text()) if options.provenance else {}
            print(publish(options.run / "checkpoint", options.to, provenance, overwrite=options.overwrite))
        if options.index:
            print(index.write())
    except (ValueError, OSError, yaml.YAMLError) as error:
        parser.exit(1, f"error: {error}\n")


if __name__ == "__main__":
    main()
