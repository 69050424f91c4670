"""Predict from your own file with a pretrained checkpoint and write a CSV with one row per input.

What is too large for a table, such as heatmaps, goes to an .npz file per input in a folder beside it; what is said of
all inputs together, such as residuals of eigenvalues on a trajectory, to a CSV of its own.

    python scripts/predict.py --checkpoint spe-zinc --input molecules.smi

The checkpoint is a shipped name, a folder ("./mine") or "hf-hub:owner/name@revision". Which files can be read is told
by `read_inputs` of the datamodule that it was trained on; for graphs see `datamodules/graphs/inputs.py`, for
trajectories `datamodules/dynamics/inputs.py`.
"""

import argparse


def main(args: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", required=True, help="name, folder or hub id")
    parser.add_argument("--input", required=True, help="the file with the inputs")
    parser.add_argument("--output", default="predictions.csv", help="the file to write (default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=128, help="inputs per forward pass (default: %(default)s)")
    parser.add_argument("--device", default="cpu", help='where to run, such as "cuda" (default: %(default)s)')
    options = parser.parse_args(args)

    # Late, so that --help and a misspelt option answer at once.
    from trainers.cli import silence_other_packages

    silence_other_packages()
    from trainers.predict import predict_file

    try:
        files = predict_file(
            options.checkpoint, options.input, options.output, batch_size=options.batch_size, device=options.device
        )
    except (ValueError, OSError, ImportError) as error:
        parser.exit(1, f"error: {error}\n")
    print(f"{files.rows} predictions of {', '.join(files.columns)}: {files.path}")
    if files.folder:
        print(f"arrays: {files.folder}")
    for summary in files.summaries:
        print(f"summary: {summary}")


if __name__ == "__main__":
    main()
