"""Evaluate a checkpoint: `python scripts/evaluate.py ...` is `eigenzoo test ...`."""

import sys

from trainers.cli import main

if __name__ == "__main__":
    main(["test", *sys.argv[1:]])
