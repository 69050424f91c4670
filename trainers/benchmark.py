"""Measure our implementations against their peers: the same work, side by side, in turns.

A machine is never equally busy for long. Time is therefore processor time, summed over threads, which leaves out what
other programs take; the variants of a case run in turns; and what is compared is the median over turns of the ratio
within a turn.
"""

from __future__ import annotations

import csv
import gc
import multiprocessing
import platform
import resource
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from trainers.revision import revision

# `ru_maxrss` is in bytes on macOS and in kilobytes elsewhere.
RSS_UNIT = 1 if sys.platform == "darwin" else 1024


def installed(package: str) -> bool:
    """Tell whether a peer is there, and say so if not."""
    found = find_spec(package) is not None
    if not found:
        print(f"left out: {package} is not installed; pip install -e '.[bench]'")
    return found


@dataclass(frozen=True)
class Variant:
    """One implementation of a case.

    Attributes:
        name: "ours", or the name of the peer.
        step: does the work that is timed.
        output: returns what must be equal between variants, outside the timing.
        small_step: the same work on little data, where loading libraries would be much of its memory; it is done before
            memory is measured.
    """

    name: str
    step: Callable[[], None]
    output: Callable[[], Tensor]
    small_step: Callable[[], None] | None = None


@dataclass(frozen=True)
class Case:
    """A workload and the ways of doing it.

    Attributes:
        name: what the workload is.
        ours: our implementation.
        peers: what it is compared with.
    """

    name: str
    ours: Variant
    peers: list[Variant]

    @property
    def variants(self) -> list[Variant]:
        """All ways of doing it, ours first."""
        return [self.ours, *self.peers]


@dataclass(frozen=True)
class Row:
    """A line of the table; the last four columns say where it was measured.

    Attributes:
        case: name of the workload.
        variant: name of the implementation.
        seconds: median processor time of a step.
        ratio: median of the variant's time over ours in the same turn; above 1, ours is faster.
        peak_mib: memory that the first step of a process needs, MiB.
        error: largest difference of the output from ours, relative to the largest entry of ours.
        threads: threads of torch.
        torch: its version.
        machine: processor architecture and operating system.
        commit: revision of the repository, "+" if files were changed.
    """

    case: str
    variant: str
    seconds: float
    ratio: float
    peak_mib: float
    error: float
    threads: int
    torch: str
    machine: str
    commit: str


def measure(cases: list[Case], repeats: int) -> list[Row]:
    """Run the variants of each case in turns and return a row for each variant, ours first.

    Args:
        cases: what to run.
        repeats: number of turns after one that warms up.
    """
    # All memory first, in children of a process that has run no step: later ones would reuse memory of steps before.
    peaks = [[peak_memory(variant.step, variant.small_step) for variant in case.variants] for case in cases]
    return [row for case, peak in zip(cases, peaks, strict=True) for row in _rows(case, peak, repeats)]


def _rows(case: Case, peaks: list[float], repeats: int) -> list[Row]:
    outputs = [variant.output() for variant in case.variants]  # before steps change anything
    turns = [[_seconds(variant.step) for variant in case.variants] for _ in range(repeats + 1)][1:]
    return [
        Row(
            case=case.name,
            variant=variant.name,
            seconds=median(times),
            ratio=median(turn[number] / turn[0] for turn in turns),
            peak_mib=peak,
            error=float((output - outputs[0]).abs().max() / outputs[0].abs().max()),
            **environment(),
        )
        for number, (variant, times, peak, output) in enumerate(
            zip(case.variants, zip(*turns, strict=True), peaks, outputs, strict=True)
        )
    ]


def _seconds(step: Callable[[], None]) -> float:
    start = time.process_time()
    step()
    return time.process_time() - start


def peak_memory(step: Callable[[], None], small_step: Callable[[], None] | None = None) -> float:
    """Return by how much a step raises the peak resident memory of a forked process, MiB, after a small one if any."""
    gc.collect()  # garbage that the child would collect in the middle of its step hides what the step takes
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_report_peak, args=(step, small_step, sender))
    process.start()
    sender.close()
    try:
        return float(receiver.recv())
    except EOFError as error:
        raise RuntimeError("the process that measured the memory of a step died; the step itself fails") from error
    finally:
        process.join()


def _report_peak(step: Callable[[], None], small_step: Callable[[], None] | None, sender: Connection) -> None:
    torch.set_num_threads(1)  # a forked process has none of its parent's threads, and would wait for them
    if small_step is not None:
        small_step()
        gc.collect()
    if Path("/proc/self/clear_refs").exists():
        # Linux: the peak so far, which may be the parent's, is forgotten.
        Path("/proc/self/clear_refs").write_text("5")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    step()
    sender.send((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * RSS_UNIT / 2**20)


def environment() -> dict[str, Any]:
    """Return the columns of a row that say where it was measured."""
    return {
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "machine": f"{platform.machine()} {platform.system()}",
        "commit": revision() or "unknown",
    }


def write_csv(rows: Iterable[Row], path: Path) -> None:
    """Write rows to a CSV file with a header."""
    records = [asdict(row) for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(Row.__annotations__))
        writer.writeheader()
        writer.writerows(records)


def table(rows: Iterable[Row]) -> str:
    """Return rows as aligned text."""
    lines = [f"{'case':<44} {'variant':<18} {'seconds':>9} {'x ours':>7} {'peak MiB':>9} {'error':>8}"]
    lines += [
        f"{row.case:<44} {row.variant:<18} {row.seconds:9.3f} {row.ratio:7.2f} {row.peak_mib:9.0f} {row.error:8.1e}"
        for row in rows
    ]
    return "\n".join(lines)
