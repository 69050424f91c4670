"""Show systems that no learner of dynamics can be right about, and limits that do not commute.

    python scripts/adversaries.py disc      two systems with the same data and different spectra
    python scripts/adversaries.py torus     eigenfunctions that hinge on coefficients no data hold
    python scripts/adversaries.py limits    eigenvalues wrong for every dictionary, and a spectrum that needs an order

What was found is printed; with --output it is written beside the figures.
"""

import argparse
import importlib
from pathlib import Path

DEMONSTRATIONS = ("disc", "torus", "limits")


def main(args: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demonstration", choices=DEMONSTRATIONS)
    parser.add_argument("--output", type=Path, help="folder to write the text and the figures to")
    options = parser.parse_args(args)

    # Late, so that --help and a misspelt option answer at once.
    from trainers.cli import silence_other_packages

    silence_other_packages()
    report = importlib.import_module(f"trainers.adversaries.{options.demonstration}").demonstrate()
    print("\n".join(report.lines))
    if options.output:
        print("\n".join(map(str, report.write(options.output))))


if __name__ == "__main__":
    main()
