from __future__ import annotations

import math
from pathlib import Path

import pytest

from bench.load import thresholds
from bench.load.__main__ import LOCUSTFILE, options_of
from bench.load.thresholds import Entry, Thresholds
from bench.load.users import meter


def met(entries: list[Entry], demanded: Thresholds) -> list[bool]:
    """Which of them are kept."""
    return [target.is_met for target in thresholds.targets(entries, demanded)]


def test_a_threshold_is_kept_at_its_border_and_missed_beyond_it() -> None:
    """95 of 100 answers within the bound are enough, 94 are not."""
    demanded = Thresholds(failures=0, p95_ms={"AUTH to WELCOME": 250})
    at_border = Entry("AUTH to WELCOME", 100, 0, {"250": 95, "9000": 5})
    beyond = Entry("AUTH to WELCOME", 100, 0, {"250": 94, "260": 6})
    assert met([at_border], demanded) == [True, True]
    assert met([beyond], demanded) == [True, False]


def test_failures_of_all_metrics_count_together() -> None:
    """Of those without a threshold too."""
    entries = [Entry("session", 9, 1, {"5": 9}), Entry("GET /v1/tasks/…", 9, 1, {"5": 9})]
    assert met(entries, Thresholds(failures=1, p95_ms={})) == [False]
    assert met(entries, Thresholds(failures=2, p95_ms={})) == [True]


def test_what_was_never_measured_is_missed() -> None:
    """A run without a card says nothing about cards."""
    demanded = Thresholds(failures=0, p95_ms={"fund to first card": 1e9})
    assert met([], demanded) == [True, False]
    assert met([Entry("fund to first card", 0, 0, {})], demanded) == [True, False]


def test_times_are_ordered_as_numbers() -> None:
    """'1000' comes before '90' as a text."""
    assert thresholds.percentile({"1000": 1, "90": 19}, 0.95) == 90
    assert thresholds.percentile({"1000": 1, "90": 19}, 0.96) == 1000
    assert math.isnan(thresholds.percentile({}, 0.5))


def test_the_file_demands_what_users_measure() -> None:
    """A metric under another name would be missed in every run."""
    demanded = thresholds.read(LOCUSTFILE.with_name("thresholds.toml"))
    assert demanded.failures == 0
    assert demanded.p95_ms.keys() == {
        meter.FIRST_CARD,
        meter.WELCOME,
        meter.ANSWER,
        meter.CANCEL,
    }


@pytest.mark.parametrize(
    "text",
    ["failures = ", "failures = 0", "failures = 0\n[p95]", "failures = -1\n[p95_ms]", None],
    ids=["no TOML", "no p95", "another name", "below 0", "no file"],
)
def test_a_bad_file_of_thresholds_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None
) -> None:
    """With the file's name, and exit code 2."""
    path = tmp_path / "mine.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SystemExit) as ended:
        options_of(["--thresholds", str(path)])
    assert ended.value.code == 2
    assert f"--thresholds: {path}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--users", "4"], "--users is from 5 to 1000, not 4"),
        (["--users", "1001"], "--users is from 5 to 1000, not 1001"),
        (["--seconds", "9"], "--seconds is from 10 to 3600, not 9"),
        (["--web-port", "0"], "--web-port is from 1 to 65535, not 0"),
        (["--shape", "flood"], "invalid choice: 'flood'"),
    ],
)
def test_a_bad_option_is_a_sentence(
    capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    """Before anything is started, and exit code 2."""
    with pytest.raises(SystemExit) as ended:
        options_of(words)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_the_defaults_end_within_two_minutes() -> None:
    """The length, and 45 s for servers, accounts and the end."""
    options = options_of([])
    assert options.seconds + 45 <= 120
    assert options.web_port is None
