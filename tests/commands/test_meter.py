import pytest

from sentneuron.commands.meter import Meter, clock_time, with_unit


class Clock:
    seconds = 0.0

    def __call__(self):
        return self.seconds


def test_rate_and_time_left_follow_from_the_last_half_minute():
    clock = Clock()
    meter = Meter("train", clock=clock)
    for second in range(101):
        clock.seconds = second
        done = 1000 * second if second <= 60 else 60_000 + 500 * (second - 60)
        meter.update(done, 130_000)
    assert meter.rate() == pytest.approx(500)
    assert meter.describe() == "train 62%, 80.0 kB of 130.0 kB, 500 B/s, 0:01:40 left"


def test_what_a_resumed_run_starts_with_is_not_counted_as_speed():
    clock = Clock()
    meter = Meter("train", clock=clock)
    meter.update(1_000_000, 2_000_000)
    clock.seconds = 10
    meter.update(1_001_000, 2_000_000)
    assert meter.rate() == pytest.approx(100)


def test_an_unknown_total_has_no_percentage_and_no_time_left():
    clock = Clock()
    meter = Meter("shard", clock=clock)
    meter.update(0)
    clock.seconds = 2
    meter.update(3_000_000, note="12 skipped")
    assert meter.describe() == "shard, 3.0 MB, 1.5 MB/s, 12 skipped"


def test_nothing_known_yet_is_no_error():
    assert Meter("classify", "texts", clock=Clock()).describe() == "classify, 0 texts"


def test_more_done_than_expected_stays_at_100_percent():
    clock = Clock()
    meter = Meter("shard", clock=clock)
    meter.update(0, 100)
    clock.seconds = 1
    meter.update(150, 100)
    assert meter.describe() == "shard 100%, 150 B of 100 B, 150 B/s"


def test_due_is_said_once_an_interval():
    clock = Clock()
    meter = Meter("x", clock=clock)
    said = []
    for second in range(12):
        clock.seconds = second
        said.append(meter.is_due(5))
    assert [second for second, due in enumerate(said) if due] == [5, 10]


@pytest.mark.parametrize(
    ("amount", "unit", "text"),
    [
        (0, "B", "0 B"),
        (999, "B", "999 B"),
        (1000, "B", "1.0 kB"),
        (7_700, "B", "7.7 kB"),
        (18_000_000, "B", "18.0 MB"),
        (2.5e9, "B", "2.5 GB"),
        (38e12, "B", "38.0 TB"),
        (12_345, "texts", "12,345 texts"),
        (3.25, "steps", "3.2 steps"),
        (3, "steps", "3 steps"),
    ],
)
def test_amounts_read_well(amount, unit, text):
    assert with_unit(amount, unit) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00:00"), (59.6, "0:01:00"), (3_725, "1:02:05"), (90_061, "1 d 1:01:01")]
)
def test_durations_read_well(seconds, text):
    assert clock_time(seconds) == text
