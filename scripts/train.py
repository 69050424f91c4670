"""The command line from a checkout: `python scripts/train.py fit --recipe spe/counting` is `eigenzoo fit ...`."""

from trainers.cli import main

if __name__ == "__main__":
    main()
