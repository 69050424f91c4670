"""Collect finished runs into a table, and bring the tables of all READMEs up to date.

python scripts/results.py --to table.csv "SPE=runs/spe/counting/0/checkpoint" "none=runs/spe/counting/1/checkpoint"
python scripts/results.py
"""

import argparse
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]


def main(args: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "runs",
        nargs="*",
        metavar="LABEL=CHECKPOINT",
        help="a row of the table; the same label again is another seed of it",
    )
    parser.add_argument("--to", type=Path, help="the CSV file to write")
    parser.add_argument("--no-variants", action="store_true", help="leave out what a test compares with, or lists")
    options = parser.parse_args(args)
    if bool(options.runs) != bool(options.to) or not all("=" in run for run in options.runs):
        parser.error("give --to FILE and LABEL=CHECKPOINT ..., or nothing to refresh the READMEs")

    # Late, so that --help answers at once.
    from checkpoints.files import write_file
    from trainers.results import TABLE, collect, render, write_csv

    if options.to:
        runs = [tuple(run.split("=", 1)) for run in options.runs]
        print(write_csv(options.to, collect(runs, variants=not options.no_variants)))
    for readme in [REPOSITORY / "README.md", *sorted(REPOSITORY.glob("zoo/*/README.md"))]:
        if TABLE.search(readme.read_text()):
            write_file(readme, render(readme).encode())
            print(readme)


if __name__ == "__main__":
    main()
