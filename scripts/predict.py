"""Predict from your own file with a pretrained checkpoint and write a CSV with one row per input.

    python scripts/predict.py --checkpoint spe-zinc --input molecules.smi

The checkpoint is a shipped name, a folder ("./mine") or "hf-hub:owner/name@revision". Which files can be read is told
by `read_inputs` of the datamodule that it was trained on; for graphs see `datamodules/graphs/inputs.py`.
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
    from trainers.predict import predict_file, write_predictions

    try:
        names, targets, outputs = predict_file(
            options.checkpoint, options.input, batch_size=options.batch_size, device=options.device
        )
        path = write_predictions(options.output, names, targets, outputs)
    except (ValueError, OSError, ImportError) as error:
        parser.exit(1, f"error: {error}\n")
    print(f"{len(names)} predictions of {', '.join(targets)}: {path}")


if __name__ == "__main__":
    main()
