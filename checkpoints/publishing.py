"""From the checkpoint that a run leaves behind to one for others: named, and with nothing left unsaid."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from checkpoints import tensors
from checkpoints.errors import CheckpointError
from checkpoints.format import REFERENCE
from checkpoints.loading import INPUT, load
from checkpoints.saving import save
from checkpoints.shipped import locate, read_config


def publish(
    source: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    provenance: dict[str, Any],
    *,
    overwrite: bool = False,
) -> Path:
    """Write a checkpoint again under the name of its new folder, with its provenance completed.

    Args:
        source: a checkpoint, as in `load`, for instance the folder "checkpoint" of a run.
        folder: where to write; its name is the checkpoint's.
        provenance: what the run could not know (licence, limits, the paper's values ...) or said differently.
        overwrite: replace an existing checkpoint folder.

    Returns:
        The folder.

    Raises:
        CheckpointError: a provenance field is still not recorded; or see `load` and `save`.
    """
    source = locate(source)
    config = read_config(source)
    complete = config["provenance"] | provenance
    if unsaid := [field for field, value in complete.items() if value is None]:
        raise CheckpointError(f"provenance does not say {', '.join(unsaid)}; see checkpoints.schema.PROVENANCE")
    module = load(source)
    stored = tensors.read(source / REFERENCE, config["files"][REFERENCE])
    packed = {name.removeprefix(INPUT): tensor for name, tensor in stored.items() if name.startswith(INPUT)}
    return save(
        module,
        folder,
        metrics=config["metrics"],
        provenance=complete,
        reference_batch=module.unpack(packed),
        recipe=config["recipe"],
        weights=config["weights"],
        overwrite=overwrite,
    )
