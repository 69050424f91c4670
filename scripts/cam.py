"""Show what a network looks at in your own image, folder of images or video.

    python scripts/cam.py cat.jpg --model resnet50 --weights DEFAULT --out cat_map.png
    python scripts/cam.py photos/ --checkpoint ./runs/eigencam/folder/0/checkpoint --out maps/

The network is one of torchvision's ("resnet50"), one of timm's ("timm:resnet50.a1_in1k"), or a checkpoint of the zoo.
Its weights are a name of torchvision's, or a file with your own: .safetensors, .pt or .npz.
"""

import argparse


def main(args: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", help="an image, a folder of images, or a video")
    parser.add_argument("--out", required=True, help="a .png file for one image, else a folder")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--model", help="a network of torchvision, or timm:NAME")
    source.add_argument("--checkpoint", help="name, folder or hub id of a checkpoint of the zoo")
    parser.add_argument("--weights", help="with --model: a name of torchvision's weights, or a file")
    parser.add_argument("--num-classes", type=int, help="with --model and your own weights: number of classes")
    parser.add_argument("--layer", action="append", help="look into this layer; may be given again")
    parser.add_argument("--method", default="eigen", help="which map (default: %(default)s)")
    parser.add_argument("--mode", default="paper", help="paper or centered (default: %(default)s)")
    parser.add_argument("--sign", help="rule that orients the map, see zoo/eigencam/signs.py")
    parser.add_argument("--smooth", default="none", help="none, eigen or aug (default: %(default)s)")
    parser.add_argument("--class", dest="target", type=int, help="number of the class of a class-aware map")
    parser.add_argument("--threshold", type=float, default=0.5, help="of the box (default: %(default)s)")
    parser.add_argument("--components", type=int, default=0, help="also draw so many principal components")
    parser.add_argument("--shared-basis", action="store_true", help="one basis for all frames of a batch")
    parser.add_argument("--every", type=int, default=1, help="of a video, take every n-th frame")
    parser.add_argument("--size", type=int, default=224, help="pixels of the network's image (default: %(default)s)")
    parser.add_argument("--normalization", default="imagenet", help="of the network's image (default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=16, help="images per forward pass (default: %(default)s)")
    parser.add_argument("--device", default="cpu", help='where to run, such as "cuda" (default: %(default)s)')
    options = parser.parse_args(args)

    # Late, so that --help and a misspelt option answer at once.
    from trainers.cli import silence_other_packages

    silence_other_packages()
    from trainers.cams import build_module, draw_pictures, read_pictures

    settings = {name: getattr(options, name) for name in ("method", "mode", "sign", "smooth", "shared_basis")}
    try:
        module, image_size, normalization = build_module(
            options.model,
            options.checkpoint,
            weights=options.weights,
            num_classes=options.num_classes,
            layers=options.layer,
            settings=settings,
            threshold=options.threshold,
            size=options.size,
            normalization=options.normalization,
        )
        written = draw_pictures(
            module.to(options.device),
            read_pictures(options.input, options.every),
            options.out,
            normalization=normalization,
            size=image_size,
            target=options.target,
            num_components=options.components,
            batch_size=options.batch_size,
        )
    except (ValueError, OSError, ImportError) as error:
        parser.exit(1, f"error: {error}\n")
    print("\n".join(map(str, written)))


if __name__ == "__main__":
    main()
