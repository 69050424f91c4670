"""Global state is restored after every test, nothing leaks, and no test reaches the network."""

import multiprocessing
import os
import random
import socket

import matplotlib
import numpy as np
import pytest
import torch

os.environ["WANDB_MODE"] = "disabled"
os.environ["WANDB_SILENT"] = "true"
matplotlib.use("agg")
# Tensors are tiny here: threads would only wait for each other, in the processes that tests start too.
os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory, monkeypatch):
    """Give each session a cache of its own, so that tests neither read nor write the user's."""
    home = tmp_path_factory.getbasetemp() / "eigenzoo_home"
    monkeypatch.setenv("EIGENZOO_HOME", str(home))


@pytest.fixture(autouse=True)
def restored_state():
    """Restore environment, dtype, threads, determinism, RNG and process group; fail on leaked processes."""
    environment = dict(os.environ)
    dtype, threads = torch.get_default_dtype(), torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    random.seed(0), np.random.seed(0), torch.manual_seed(0)  # noqa: NPY002 - the legacy global state is what is reset
    yield
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
        pytest.fail("the test left a process group behind")
    torch.set_default_dtype(dtype)
    torch.use_deterministic_algorithms(deterministic)
    torch.set_num_threads(threads)
    os.environ.clear()
    os.environ.update(environment)
    leaked = multiprocessing.active_children()
    for process in leaked:
        process.kill()
    assert not leaked, f"the test left processes behind: {leaked}"


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Fail any connection that leaves the machine."""
    local = ("localhost", "127.0.0.1", "::1", socket.gethostname())

    def guarded(connect):
        def connect_locally(self, address):
            if isinstance(address, tuple) and address[0] not in local:
                raise RuntimeError(f"a test tried to reach the network at {address}")
            return connect(self, address)

        return connect_locally

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, guarded(getattr(socket.socket, name)))
