"""A thousand pairs take the memory of a hundred, and time in proportion."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from made_trees import write_frame

from patchbatch.data.formats import write_flow

PAIRS, SIZE = 1000, (48, 64)
ROOT = str(Path(__file__).resolve().parents[4])
# A method that writes down what its process holds and has computed so far.
METHOD = """\
import os, time
import numpy as np

LINES = open({file!r}, "a")
PAGE = os.sysconf("SC_PAGE_SIZE")

def measured(frame1, frame2):
    with open("/proc/self/statm") as file:
        held = int(file.read().split()[1]) * PAGE
    print(held, time.process_time(), file=LINES, flush=True)
    return np.ones((48, 64, 2), np.float32)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the memory is read from /proc")
def test_a_thousand_pairs_take_flat_memory_and_time_in_proportion(tmp_path: Path) -> None:
    data = tmp_path / "chairs" / "data"
    data.mkdir(parents=True)
    frame = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
    for number in range(1, PAIRS + 1):
        for name in ("img1", "img2"):
            write_frame(data / f"{number:05d}_{name}.ppm", frame)
        write_flow(data / f"{number:05d}_flow.flo", np.full((*SIZE, 2), number % 7, np.float32))
    (tmp_path / "method_of_mine.py").write_text(METHOD.format(file=str(tmp_path / "lines")))
    words = ["flow", "chairs", str(tmp_path), "--method", "m=method_of_mine:measured", "--keep", "kept"]
    words += ["--json", "r.json", "--write", "fields", "--report", "report", "--report-pictures", "none"]
    program = f"import sys; sys.path.insert(0, {ROOT!r}); from benchmarks.__main__ import main; sys.exit("
    command = [sys.executable, "-c", f"{program}main({words!r}))"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[PAIRS - 1].startswith("1000/1000 01000, m EPE ")
    assert json.loads((tmp_path / "r.json").read_text())["rows"][0]["pairs"] == PAIRS
    held, seconds = np.loadtxt(tmp_path / "lines").T
    assert len(held) == PAIRS
    # A kept outcome is some kilobytes; a field of this size alone would be 24 kB a pair.
    assert held[-100:].mean() - held[100:200].mean() < 12e6
    first, last = seconds[550] - seconds[100], seconds[-1] - seconds[-451]
    assert last < 1.5 * first
