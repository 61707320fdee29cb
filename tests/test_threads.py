"""How many threads compute, and loops that are shared among them."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from patchbatch import threads
from patchbatch.compiled import njit, prange
from patchbatch.errors import PatchBatchError


@njit(parallel=True)
def squares(values, out):
    offset = 1
    for n in prange(len(values)):
        out[n] += values[n] * values[n] + offset


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8, 9, 1000])
@pytest.mark.parametrize("workers", [1, 2, 5])
def test_every_turn_is_taken_once(count, workers):
    values, out = np.arange(count), np.zeros(count, np.int64)
    with threads.loops_in(workers):
        assert squares(values, out) is None
    np.testing.assert_array_equal(out, values**2 + 1)


def test_it_is_several_threads_that_work(monkeypatch):
    """Each part waits until another one has begun: one thread alone would wait for ever."""
    barrier, parts = threading.Barrier(2, timeout=20), []

    def part(values, out, first, last):
        barrier.wait()
        parts.append((first, last))

    monkeypatch.setattr(squares, "_part", part)
    with threads.loops_in(2):
        squares(np.arange(16), np.zeros(16))
    assert sorted(parts) == [(first, first + 2) for first in range(0, 16, 2)]


def test_what_goes_wrong_in_a_part_is_raised(monkeypatch):
    def part(values, out, first, last):
        if first:
            raise ZeroDivisionError
        out[first] = 1

    monkeypatch.setattr(squares, "_part", part)
    with threads.loops_in(3), pytest.raises(ZeroDivisionError):
        squares(np.arange(30), np.zeros(30))


def no_loop(values):
    return values


def more_after(values):
    for n in prange(len(values)):
        values[n] = 0
    values[0] = 1


def shares(values):
    total = 0
    for n in prange(len(values)):
        total += values[n]
    values[0] = total


def shares_at_the_end(values):
    total = 0
    for n in prange(len(values)):
        total += values[n]


def gives_up(values):
    for n in prange(len(values)):
        if values[n]:
            return


@pytest.mark.parametrize("function", [no_loop, more_after, shares, shares_at_the_end, gives_up])
def test_loops_whose_turns_depend_on_each_other_are_refused(function):
    with pytest.raises(TypeError, match=function.__name__):
        njit(parallel=True)(function)


def test_a_forked_child_has_threads_of_its_own():
    code = (
        "import os, numpy as np\n"
        "from tests.test_threads import squares, threads\n"
        "def run():\n"
        "    out = np.zeros(100, np.int64)\n"
        "    with threads.loops_in(2): squares(np.arange(100), out)\n"
        "    return int(out.sum())\n"
        "expected = run()\n"
        "child = os.fork()\n"
        "if child == 0: os._exit(run() != expected)\n"
        "raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], timeout=100, check=False)
    assert done.returncode == 0


def at_first(**environment):
    known = {name: value for name, value in os.environ.items() if "NUM_THREADS" not in name}
    code = "from patchbatch.threads import thread_count; print(thread_count())"
    done = subprocess.run(
        [sys.executable, "-c", code], env=known | environment, capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def test_the_environment_is_obeyed():
    assert at_first() == threads.available()
    assert at_first(OMP_NUM_THREADS="3") == 3
    assert at_first(OMP_NUM_THREADS="3", NUMBA_NUM_THREADS="5") == 5
    assert at_first(OMP_NUM_THREADS="0") == at_first(OMP_NUM_THREADS="4,2") == threads.available()


def test_a_containers_quota_counts(tmp_path):
    everything = threads.available(tmp_path / "none")
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert threads.available(tmp_path) == everything
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert threads.available(tmp_path) == 1
    (tmp_path / "cpu.max").write_text(f"{100000 * (everything + 5)} 100000\n")
    assert threads.available(tmp_path) == everything
    old = tmp_path / "old" / "cpu"
    old.mkdir(parents=True)
    (old / "cpu.cfs_period_us").write_text("100000\n")
    for quota, expected in (("-1", everything), ("100000", 1)):
        (old / "cpu.cfs_quota_us").write_text(quota)
        assert threads.available(tmp_path / "old") == expected


def test_threads_are_set_for_everything():
    code = (
        "import os, sys\n"
        "from patchbatch.threads import set_threads, thread_count\n"
        "import torch\n"
        "set_threads(1)\n"
        "import cv2\n"
        "assert torch.get_num_threads() == thread_count() == 1\n"
        "set_threads(1)\n"
        "assert cv2.getNumThreads() == 1 and os.environ['OMP_NUM_THREADS'] == '1'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(PatchBatchError, match="threads is 0"):
        threads.set_threads(0)
