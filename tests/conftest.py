"""Shared fixtures: the real data, when it is at hand."""

import socket
from pathlib import Path

import pytest

REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of real data beside the checkout (`../shared/data`), or skip."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"no real data at {REAL_DATA}; the made scenes still test this path")
    return REAL_DATA


@pytest.fixture
def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
