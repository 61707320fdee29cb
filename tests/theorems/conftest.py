"""Figures of the theorem tests: collected while they run, printed in one block with `-s`."""

from collections.abc import Callable

import pytest

FIGURES = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FIGURES] = []


@pytest.fixture
def record(pytestconfig: pytest.Config) -> Callable[..., None]:
    """Return `record(row, text)`: one line of the block, `row` as in the tables of docs/theorems.md."""

    def write(row: str, text: str) -> None:
        pytestconfig.stash[FIGURES].append(f"{row:4} {text}")

    return write


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    if config.option.capture == "no" and config.stash[FIGURES]:
        terminalreporter.section("figures of the theorems")
        for line in config.stash[FIGURES]:
            terminalreporter.write_line(line)
