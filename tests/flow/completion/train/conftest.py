"""What the trainer's tests share."""

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread():
    """Compute in one thread: the work is so small that a second one only waits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
