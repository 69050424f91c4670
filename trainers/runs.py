"""Run folders: where a run writes, and where an interrupted one left off.

A run folder holds config.yaml, data.json, metrics.json, logs/, checkpoints/last.ckpt and best.ckpt, figures/ and, once
the run has finished, checkpoint/. Without an explicit folder, runs are numbered: runs/<recipe>/0, 1, ...
"""

from __future__ import annotations

import os
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_only

LAST, BEST = Path("checkpoints", "last.ckpt"), Path("checkpoints", "best.ckpt")

# Lightning's launcher starts the other ranks by running the command again: they find the folder of rank 0 here.
_INHERITED = "EIGENZOO_RUN"


def claim_run_folder(output: str | Path | None, name: str, resume: str | Path | None) -> tuple[Path, Path | None]:
    """Choose the folder of a run, make it, and find the checkpoint to continue from.

    Args:
        output: the folder; None takes the next number in runs/<name> or, when resuming, the folder of that run.
        name: a recipe such as "spe/zinc"; "python" for runs without one.
        resume: None starts afresh; "auto" continues the newest run, or starts one if that wrote no last.ckpt; else the
            path of a run folder or of a checkpoint file.

    Returns:
        The folder and the checkpoint file (None starts afresh).

    Raises:
        ValueError: `output` already holds a run that is not resumed; or there is no `output` but several processes that
            were not started by Lightning could not agree on a number.
        FileNotFoundError: there is no checkpoint at `resume`.
    """
    root = Path("runs", name)
    checkpoint = _checkpoint(resume, Path(output) if output else root)
    if output is None and not is_rank_zero() and _INHERITED in os.environ:
        folder = Path(os.environ[_INHERITED])
    elif output is None and checkpoint is not None and checkpoint.parent.name == LAST.parent.name:
        folder = checkpoint.parents[1]
    elif output is None:
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise ValueError(
                "output=None is not allowed when torchrun or SLURM starts the processes; give one folder for all"
            )
        folder = _next_number(root)
    else:
        folder = Path(output)
        holds_a_run = (folder / "logs").exists() or (folder / "checkpoints").exists()
        if is_rank_zero() and resume is None and holds_a_run:
            raise ValueError(f"output={str(folder)!r} already holds a run; resume it, or give a new folder")
        folder.mkdir(parents=True, exist_ok=True)
    folder = folder.resolve()
    if is_rank_zero():
        os.environ[_INHERITED] = str(folder)
    return folder, checkpoint


def find_resume(folder: str | Path) -> Path | None:
    """Return last.ckpt of a run folder, or of the newest run in a folder of numbered runs; None if it has none.

    Never that of an older run: what was interrupted is the newest, and the older ones may be finished.
    """
    folder = Path(folder)
    if (folder / LAST).is_file():
        return folder / LAST
    newest = max((run for run in folder.glob("*") if run.name.isdigit()), key=lambda run: int(run.name), default=folder)
    return newest / LAST if (newest / LAST).is_file() else None


def _checkpoint(resume: str | Path | None, folder: Path) -> Path | None:
    if resume is None:
        return None
    if resume == "auto":
        return find_resume(folder)
    checkpoint = Path(resume) if Path(resume).is_file() else find_resume(resume)
    if checkpoint is None:
        raise FileNotFoundError(f"resume={str(resume)!r} is neither a checkpoint file nor a run folder with {LAST}")
    return checkpoint


def is_rank_zero() -> bool:
    """Tell whether this is the process that writes files; also before a trainer is built."""
    return getattr(rank_zero_only, "rank", 0) == 0


def _next_number(root: Path) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    number = max((int(path.name) for path in root.glob("*") if path.name.isdigit()), default=-1) + 1
    # Another run may claim the same number at the same moment: the one that makes the folder has it.
    while True:
        try:
            (root / str(number)).mkdir()
        except FileExistsError:
            number += 1
        else:
            return root / str(number)
