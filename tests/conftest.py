"""For all tests: encoderlib's signatures are checked while it runs, one thread, a fixed seed."""

import random
import signal

import jaxtyping
import numpy as np
import pytest
import torch

jaxtyping.install_import_hook("encoderlib", "beartype.beartype")  # before encoderlib is imported
torch.set_num_threads(1)
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a job in the background


@pytest.fixture(autouse=True)
def seed() -> int:
    """Every test starts from the same random numbers, whatever ran before it."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    return 0


@pytest.fixture
def unchecked():
    """Turn the signature checks off, as for a user: the library's own errors must come."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def randomise():
    """Give all parameters random values: zero biases and gains of one hide mistakes."""

    def fill(module: torch.nn.Module) -> torch.nn.Module:
        with torch.no_grad():
            for parameter in module.parameters():
                width = parameter.size(-1) if parameter.dim() > 1 else 1
                parameter.normal_(std=width**-0.5)
        return module

    return fill
