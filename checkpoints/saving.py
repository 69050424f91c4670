"""Publish a module as a checkpoint folder, which exists only once it has been loaded back and found to agree."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from checkpoints import card, files, tensors
from checkpoints.errors import CheckpointError, UnknownMethodError
from checkpoints.format import CARD, CONFIG, FORMAT_VERSION, REFERENCE, WEIGHTS, encode
from checkpoints.loading import INPUT, OUTPUT, load, module_class, reference_output
from checkpoints.schema import validate

if TYPE_CHECKING:
    from zoo.module import ZooModule

TOLERANCES = {torch.float64: 1e-9, torch.float32: 1e-4}
"""How closely another machine or version of torch must reproduce the stored output, relative to its largest entry.

About a thousand rounding errors: what reordered sums do to a deep network, and far below any error that a metric shows.
"""


def save(
    module: ZooModule,
    folder: str | os.PathLike[str],
    *,
    metrics: dict[str, float],
    provenance: dict[str, Any],
    reference_batch: Any,
    recipe: str | None = None,
    name: str | None = None,
    weights: Literal["raw", "ema"] = "raw",
    overwrite: bool = False,
) -> Path:
    """Write a checkpoint folder, reproducibly, and verify it with `load` before it appears.

    The module is only read: it may be in the middle of a training run, on any device.

    Args:
        module: a module of the zoo; its present weights are stored.
        folder: where to write; its parents are made.
        metrics: results by logged name, for instance {"test/mae": 0.07}.
        provenance: everything that `checkpoints.schema.PROVENANCE` lists; None for what is not recorded.
        reference_batch: a small batch (a few samples); it is stored with the module's reference output for it.
        recipe: what the module was trained with, for instance "spe/zinc".
        name: name of the checkpoint, by default the folder's.
        weights: "raw", or "ema" if the present weights are an exponential moving average.
        overwrite: replace an existing checkpoint folder.

    Returns:
        The folder.

    Raises:
        CheckpointError: `folder` exists, a field is missing or malformed, a tensor is not storable, the predictions are
            not finite, or what was written does not load and reproduce them.
    """
    folder = Path(folder)
    if module_class(module.method) is not type(module):
        raise UnknownMethodError(f"module is a {type(module).__name__}, not the class of method {module.method!r}")
    if module.not_exportable_because is not None:
        raise CheckpointError(f"the module cannot become a checkpoint: {module.not_exportable_because}")
    state = module.state_dict()
    reference = _reference(module, reference_batch)
    contents = {WEIGHTS: tensors.encode(state), REFERENCE: tensors.encode(reference)}
    config = {
        "format_version": FORMAT_VERSION,
        "name": folder.name if name is None else name,
        "method": module.method,
        "hparams": dict(module.hparams),
        "recipe": recipe,
        "weights": weights,
        "metrics": {metric: float(value) for metric, value in metrics.items()},
        "provenance": provenance,
        "files": {file: {"sha256": files.sha256(data), "bytes": len(data)} for file, data in contents.items()},
        "reference": _tolerance(state, reference[OUTPUT]),
    }
    validate(config)
    contents |= {CONFIG: encode(config), CARD: card.render(config).encode()}
    with files.new_folder(folder, overwrite=overwrite) as temporary:
        for file, data in contents.items():
            files.write_file(temporary / file, data)
        load(temporary)
    return folder


def _reference(module: ZooModule, batch: Any) -> dict[str, Tensor]:
    # From a copy of the module itself, not of a rebuilt one: what its state dict or hyper-parameters fail to carry (a
    # buffer that is not persistent, an attribute set by hand) then shows up as a mismatch when the folder is loaded.
    twin = copy.deepcopy(module).cpu().eval()
    packed = {name: tensor.cpu() for name, tensor in module.pack(batch).items()}
    output = reference_output(twin, packed)
    if not torch.isfinite(output).all():
        raise CheckpointError("module predicts values that are not finite for reference_batch; nothing is saved")
    return {f"{INPUT}{name}": tensor for name, tensor in packed.items()} | {OUTPUT: output}


def _tolerance(state: dict[str, Tensor], output: Tensor) -> dict[str, Any]:
    dtypes = {tensor.dtype for tensor in (*state.values(), output) if tensor.is_floating_point()}
    dtype = max(dtypes, key=lambda dtype: torch.finfo(dtype).eps)
    rtol = TOLERANCES[dtype]
    scale = output.abs().max().item() if output.numel() else 0.0
    return {"rtol": rtol, "atol": rtol * scale, "dtype": str(dtype).removeprefix("torch.")}
