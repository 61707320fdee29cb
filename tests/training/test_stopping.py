"""A training that is told to end keeps its last step."""

import os
import signal
import threading

import pytest

from patchbatch.training.stopping import asked_to_stop


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_noted_and_the_second_acts(number):
    heard = []
    before = signal.signal(number, lambda *_: heard.append("acts"))
    try:
        with asked_to_stop() as stop:
            assert not stop()
            os.kill(os.getpid(), number)
            assert stop() and not heard
            os.kill(os.getpid(), number)
            assert heard == ["acts"]
        os.kill(os.getpid(), number)
        assert heard == ["acts", "acts"]
    finally:
        signal.signal(number, before)


def test_other_threads_leave_signals_alone():
    told = []

    def work():
        with asked_to_stop() as stop:
            told.append(stop())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert told == [False]
