"""Two processes, one metric: what ranks add up must be what one process gets of everything."""

import torch
from torch import distributed


def run_rank(rank, folder, build, batches):
    distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    try:
        metric = build()
        for arguments in batches[:1] if rank == 0 else batches[1:]:
            metric.update(**arguments)
        torch.save(metric.compute(), folder / f"{rank}.pt")
    finally:
        distributed.destroy_process_group()


def assert_two_processes_equal_one(folder, build, batches, **close):
    """Compare with one process that has all batches; the split is uneven: the first, and all others."""
    assert len(batches) >= 3
    one = build()
    for arguments in batches:
        one.update(**arguments)
    torch.multiprocessing.start_processes(run_rank, args=(folder, build, batches), nprocs=2, start_method="fork")
    for rank in (0, 1):
        torch.testing.assert_close(torch.load(folder / f"{rank}.pt"), one.compute(), **close)
