"""What a stage costs, as the meter tells it."""

import time
from pathlib import Path

import numpy as np
import pytest

from flow.meter import Meter


def test_stages_are_timed_in_order_and_summed():
    heard = []
    meter = Meter(on_done=lambda name, cost: heard.append((name, cost.seconds)))
    with meter.stage("one"):
        time.sleep(0.02)
    with meter.stage("two") as cost:
        cost.gflop = 3.0
    seconds = meter.seconds()
    assert list(seconds) == ["one", "two", "total"]
    assert seconds["one"] >= 0.02
    assert seconds["total"] == pytest.approx(seconds["one"] + seconds["two"])
    assert meter.costs["two"].gflop == 3.0
    assert [name for name, _ in heard] == ["one", "two"]


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux lets the peak start anew")
def test_memory_of_one_stage_is_not_charged_to_the_next():
    def big_then_small(meter):
        with meter.stage("big"):
            np.ones(60_000_000).sum()  # 480 MB, given back at once
        with meter.stage("small"):
            pass
        return meter.costs["big"].peak_mb, meter.costs["small"].peak_mb

    big, small = big_then_small(Meter(per_stage_memory=True))
    assert big > small + 300
    big, small = big_then_small(Meter())
    assert small >= big


def test_a_stage_that_fails_is_not_recorded():
    meter = Meter()
    with pytest.raises(ZeroDivisionError), meter.stage("broken"):
        raise ZeroDivisionError
    assert "broken" not in meter.costs
