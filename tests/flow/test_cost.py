"""What a stage costs, as the meter tells it."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from flow.cost import Meter, product_flop
from flow.matching.search_settings import ExactMatcherSettings, SemiGlobalSettings
from flow.matching.seeds import seed_axis
from flow.matching.settings import MatchingSettings


def test_stages_are_timed_in_order_and_summed(monkeypatch):
    clock = iter([10.0, 12.0, 20.0, 20.5])
    monkeypatch.setattr("flow.cost.time", SimpleNamespace(perf_counter=lambda: next(clock)))
    heard = []
    meter = Meter(on_done=lambda name, cost: heard.append((name, cost.seconds)))
    with meter.stage("one"):
        pass
    with meter.stage("two") as cost:
        cost.gflop = 3.0
    assert list(meter.seconds().items()) == [("one", 2.0), ("two", 0.5), ("total", 2.5)]
    assert meter.costs["two"].gflop == 3.0
    assert heard == [("one", 2.0), ("two", 0.5)]


BIG_THEN_SMALL = """
import numpy as np
from flow.cost import Meter
for meter in (Meter(per_stage_memory=True), Meter()):
    with meter.stage("big"):
        np.ones(60_000_000).sum()  # 480 MB, given back at once
    with meter.stage("small"):
        pass
    print(meter.costs["big"].peak_mb, meter.costs["small"].peak_mb)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux lets the peak start anew")
def test_memory_of_one_stage_is_not_charged_to_the_next():
    # In a process of its own: what other tests hold, and give back meanwhile, would be measured as well.
    done = subprocess.run([sys.executable, "-c", BIG_THEN_SMALL], capture_output=True, text=True, check=True)
    (big, small), (big_of_all, small_of_all) = (map(float, line.split()) for line in done.stdout.splitlines())
    assert big > small + 300
    assert small_of_all >= big_of_all


def test_a_stage_that_fails_is_not_recorded():
    meter = Meter()
    with pytest.raises(ZeroDivisionError), meter.stage("broken"):
        raise ZeroDivisionError
    assert "broken" not in meter.costs


def test_arithmetic_of_matching_counts_the_pairs_that_are_compared():
    first, second = ([torch.zeros(7, 10, 3), torch.zeros(4, 5, 3)] for _ in range(2))
    # Seeds three px apart stand on every row but one of the top level, and on every second column or so.
    asked = len(set(seed_axis(7, 3) // 2)) * len(set(seed_axis(10, 3) // 2))
    assert product_flop(first, second, MatchingSettings()) == 2 * 3 * 2 * asked * 20
    every = MatchingSettings("exact", ExactMatcherSettings(step=1))
    assert product_flop(first, second, every) == 2 * 3 * 70 * 70
    windowed = MatchingSettings("exact", ExactMatcherSettings(window=2, step=3))
    pairs = sum(
        abs(x - u) <= 2 and abs(y - v) <= 2
        for x in seed_axis(10, 3) for y in seed_axis(7, 3) for u in range(10) for v in range(7)
    )  # fmt: skip
    assert product_flop(first, second, windowed) == 2 * 2 * 3 * pairs  # each way on its own grid
    assert product_flop(first, second, MatchingSettings("patchmatch")) is None
    semiglobal = MatchingSettings("semi-global", SemiGlobalSettings(max_motion=2))
    near = sum(
        abs(x - u) <= 1 and abs(y - v) <= 1
        for x in range(5)
        for u in range(5)
        for y in range(4)
        for v in range(4)
    )
    assert product_flop(first, second, semiglobal) == 2 * 3 * 2 * near
