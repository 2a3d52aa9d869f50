"""How a city and the service under it end together, by real signals to real processes."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.support.development import Dev, start_dev


def lively(data_dir: Path) -> Dev:
    """A service with a city in which a first task has been paid for."""
    dev = start_dev(data_dir, "--simulate", "12")
    log, deadline = data_dir / "simulate.log", time.monotonic() + 40
    while "funded" not in log.read_text():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
    return dev


def test_ctrl_c_lets_the_city_close_its_books_before_the_service_stops(
    prepared_data_dir: Path,
) -> None:
    """The terminal's SIGINT to the whole group: sessions closed, money counted, then the service."""
    dev = lively(prepared_data_dir)
    os.killpg(dev.process.pid, signal.SIGINT)
    assert dev.process.wait(20) == 0
    assert dev.process.communicate() == ("", "")
    said = (prepared_data_dir / "simulate.log").read_text()
    assert re.search(r"^money    in \$[\d,.]+ = .*: adds up$", said, re.MULTILINE), said
    assert not dev.servers()


@pytest.mark.long
def test_a_second_ctrl_c_waits_for_no_books(prepared_data_dir: Path) -> None:
    """A city that is stuck: the same signal again ends it, the service and the servers."""
    dev = lively(prepared_data_dir)
    (city,) = [
        child
        for child in psutil.Process(dev.process.pid).children()
        if "simulate" in child.cmdline()
    ]
    city.suspend()
    dev.process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert dev.process.poll() is None
    dev.process.send_signal(signal.SIGINT)
    assert dev.process.wait(8) == 0, "sooner than the city's time to wind down"
    dev.process.communicate()
    assert not city.is_running()
    assert not dev.servers()
