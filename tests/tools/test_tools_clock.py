"""The clock: what time it is, date arithmetic through month ends and clock changes, days between dates."""

import re
import sys
import zoneinfo
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit import Context, Tool, ToolFailed, load_tools
from agentkit.errors import InvalidArguments
from agentkit.tools.clock import add_time, days_between, now

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia"]


@pytest.mark.parametrize("zone", ZONES)
def test_now_is_between_before_and_after(zone: str) -> None:
    """The time is the real one, in the zone that was asked for, with its offset and its weekday."""
    before = datetime.now(UTC).replace(microsecond=0)
    told = now(zone)
    after = datetime.now(UTC)
    moment = datetime.fromisoformat(told["time"])
    assert before <= moment <= after
    assert moment.utcoffset() == moment.astimezone(ZoneInfo(zone)).utcoffset()
    assert told["weekday"] == f"{moment:%A}"
    assert told["timezone"] == zone


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("Tokyo", "Asia/Tokyo"),
        ("new york", "America/New_York"),
        ("europe/berlin", "Europe/Berlin"),
        (" UTC ", "UTC"),
        ("singapore", "Singapore"),
    ],
)
def test_a_city_is_enough(name: str, zone: str) -> None:
    """Models write the city that the user wrote, in any case."""
    assert now(name)["timezone"] == zone


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Europe/Berln", "did you mean .*Europe/Berlin"),
        ("Tokio", "did you mean .*Asia/Tokyo"),
        ("Louisville", "did you mean America/Kentucky/Louisville or America/Louisville"),
        ("Xyzzyq", "use an IANA name such as Europe/Berlin"),
    ],
)
def test_an_unknown_zone_is_answered_with_near_names(name: str, said: str) -> None:
    """The model can correct itself."""
    with pytest.raises(ToolFailed, match=said):
        now(name)


@pytest.mark.parametrize(
    "name",
    ["", "..", "../../etc/passwd", "/etc/localtime", "Europe", "right/UTC", "a\0b", "\ud800", "x" * 100_000, "Europe/"],
)
def test_a_hostile_zone_opens_no_file(name: str) -> None:
    """A zone is looked up in the list of zones; it is never a path."""
    with pytest.raises(ToolFailed, match="there is no time zone"):
        now(name)


def test_without_a_zone_database_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slim containers and Windows may have none: UTC still works, and the message names the package."""
    monkeypatch.setitem(sys.modules, "tzdata", None)
    zoneinfo.reset_tzpath(to=[])
    try:
        assert now()["timezone"] == "UTC"
        with pytest.raises(ToolFailed, match="'tzdata'"):
            now("Europe/Berlin")
    finally:
        zoneinfo.reset_tzpath()


@pytest.mark.parametrize(
    ("start", "amount", "unit", "expected"),
    [
        ("2026-01-31", 1, "months", "2026-02-28"),
        ("2024-01-31", 1, "months", "2024-02-29"),
        ("2026-03-31", -1, "months", "2026-02-28"),
        ("2024-02-29", 1, "years", "2025-02-28"),
        ("2024-02-29", 4, "years", "2028-02-29"),
        ("2026-10-31", 4, "months", "2027-02-28"),
        ("2026-01-15", -13, "months", "2024-12-15"),
        ("2026-12-31", 1, "days", "2027-01-01"),
        ("2026-03-28", -4, "weeks", "2026-02-28"),
        ("2026-03-28", 0, "days", "2026-03-28"),
        ("20260328", 1, "days", "2026-03-29"),
        ("9999-12-30", 1, "days", "9999-12-31"),
    ],
)
def test_a_date_stays_a_date(start: str, amount: int, unit: str, expected: str) -> None:
    """Days, weeks, months and years move the calendar, and the end of a month stays inside the month."""
    assert add_time(amount, unit, start) == {
        "date": expected,
        "weekday": f"{date.fromisoformat(expected):%A}",
    }


@pytest.mark.parametrize(
    ("start", "zone", "amount", "unit", "expected"),
    [
        # Berlin goes from 02:00 to 03:00 on 29 March 2026, and from 03:00 back to 02:00 on 25 October.
        ("2026-03-28T14:30", "Europe/Berlin", 1, "days", "2026-03-29T14:30:00+02:00"),
        ("2026-03-28T14:30", "Europe/Berlin", 24, "hours", "2026-03-29T15:30:00+02:00"),
        ("2026-03-29T01:59", "Europe/Berlin", 2, "minutes", "2026-03-29T03:01:00+02:00"),
        ("2026-03-28T02:30", "Europe/Berlin", 1, "days", "2026-03-29T03:30:00+02:00"),
        ("2026-03-29T02:30", "Europe/Berlin", 0, "days", "2026-03-29T03:30:00+02:00"),
        ("2026-10-24T02:30", "Europe/Berlin", 1, "days", "2026-10-25T02:30:00+02:00"),
        ("2026-10-25T02:30", "Europe/Berlin", 1, "hours", "2026-10-25T02:30:00+01:00"),
        ("2026-10-25T02:30+01:00", "Europe/Berlin", 0, "days", "2026-10-25T02:30:00+01:00"),
        ("2026-10-25T02:30+01:00", "Europe/Berlin", -1, "months", "2026-09-25T02:30:00+02:00"),
        ("2026-10-25T02:30+01:00", "Europe/Berlin", -210, "days", "2026-03-29T03:30:00+02:00"),
        ("2026-03-28", "Europe/Berlin", 36, "hours", "2026-03-29T13:00:00+02:00"),
        # New York goes forward on 8 March 2026.
        ("2026-03-07T12:00", "New York", 1, "days", "2026-03-08T12:00:00-04:00"),
        ("2026-03-07T12:00", "New York", 86_400, "seconds", "2026-03-08T13:00:00-04:00"),
        # Lord Howe Island moves by half an hour; Kathmandu is 45 minutes off; Apia had no 30 December 2011.
        ("2026-10-03T12:00", "Australia/Lord_Howe", 24, "hours", "2026-10-04T12:30:00+11:00"),
        ("2026-01-01T00:00Z", "Asia/Kathmandu", 0, "hours", "2026-01-01T05:45:00+05:45"),
        ("2011-12-29T12:00", "Pacific/Apia", 24, "hours", "2011-12-31T12:00:00+14:00"),
        ("2011-12-29T12:00", "Pacific/Apia", 1, "days", "2011-12-31T12:00:00+14:00"),
        # With no zone asked for: the offset that is written, else UTC.
        ("2026-03-28T14:30-05:00", None, 1, "days", "2026-03-29T14:30:00-05:00"),
        ("2026-03-28T14:30", None, 1, "days", "2026-03-29T14:30:00+00:00"),
        ("2026-03-28T14:30", "", 90, "minutes", "2026-03-28T16:00:00+00:00"),
    ],
)
def test_clock_changes_are_right(start: str, zone: str | None, amount: int, unit: str, expected: str) -> None:
    """A day later is the same time on the clock; 24 hours later may not be (RFC 5545, 3.3.5 and 3.8.5.3)."""
    assert add_time(amount, unit, start, zone)["time"] == expected


@settings(deadline=None, max_examples=50)
@given(
    start=st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 28), timezones=st.sampled_from(ZONES).map(ZoneInfo)),
    seconds=st.integers(-(10**9), 10**9),
)
def test_hours_minutes_and_seconds_are_real_time(start: datetime, seconds: int) -> None:
    """In every zone, so many seconds later are so many seconds later."""
    start = start.replace(microsecond=0).astimezone(UTC)
    try:
        expected = start + timedelta(seconds=seconds)
        expected.astimezone(ZoneInfo("Pacific/Apia"))
    except OverflowError:
        return
    told = add_time(seconds, "seconds", start.isoformat(), "Pacific/Apia")
    assert datetime.fromisoformat(told["time"]) == expected


@settings(deadline=None, max_examples=50)
@given(
    start=st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)),
    zone=st.sampled_from(ZONES),
    days=st.integers(-9999, 9999),
)
def test_a_wall_clock_time_that_exists_is_kept(start: datetime, zone: str, days: int) -> None:
    """Days move the calendar only: same hour and minute, unless a clock change has swallowed them."""
    start = start.replace(microsecond=0)
    wanted = (start + timedelta(days=days)).replace(tzinfo=ZoneInfo(zone))
    exists = wanted.astimezone(UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None) == wanted.replace(tzinfo=None)
    begins = start.replace(tzinfo=ZoneInfo(zone))
    if exists and begins.astimezone(UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None) == start:
        assert add_time(days, "days", start.isoformat(), zone)["time"] == wanted.isoformat()


def test_now_and_today_can_be_moved() -> None:
    """ "What date is it in 90 days" takes one call, not two."""
    before = datetime.now(UTC)
    told = add_time(90, "days", "Today")
    later = add_time(2, "hours")
    after = datetime.now(UTC)
    assert (before + timedelta(days=90)).date().isoformat() <= told["date"]
    assert told["date"] <= (after + timedelta(days=90)).date().isoformat()
    assert timedelta(hours=2, seconds=-1) < datetime.fromisoformat(later["time"]) - before
    assert datetime.fromisoformat(later["time"]) - after <= timedelta(hours=2)


@pytest.mark.parametrize("start", ["tomorrow", "", "2026-02-30", "28.03.2026", "2026-03-28T25:00", "x" * 100_000, "\0"])
def test_what_is_not_a_date_is_refused(start: str) -> None:
    """The message shows how dates are written, and does not repeat a long input."""
    with pytest.raises(ToolFailed, match=r"is not a date or time; write now, today, 2026-03-28") as error:
        add_time(1, "days", start)
    assert len(str(error.value)) < 250


@pytest.mark.parametrize(
    ("amount", "unit", "start"),
    [
        (1, "days", "9999-12-31"),
        (-1, "months", "0001-01-01"),
        (10**30, "hours", "2026-01-01"),
        (-(10**4299), "years", "2026-01-01"),
        (10**4299, "weeks", "2026-01-01T00:00"),
        (1, "seconds", "9999-12-31T23:59:59"),
        (1, "hours", "9999-12-31T23:59:59-12:00"),
    ],
)
def test_outside_the_calendar_is_an_error_in_words(amount: int, unit: str, start: str) -> None:
    """Python's calendar has the years 1 to 9999; the model is told."""
    with pytest.raises(ToolFailed, match="leave the years 1 to 9999"):
        add_time(amount, unit, start)


@pytest.mark.parametrize(
    ("start", "end", "days", "calendar"),
    [
        ("2026-01-01", "2026-12-25", 358, "11 months, 24 days"),
        ("2024-02-28", "2024-03-01", 2, "2 days"),
        ("2023-02-28", "2023-03-01", 1, "1 day"),
        ("1990-05-04", "2026-03-28", 13_112, "35 years, 10 months, 24 days"),
        ("2024-01-31", "2024-02-29", 29, "1 month"),
        ("2024-01-31", "2024-03-01", 30, "1 month, 1 day"),
        ("2026-03-28", "2026-03-28", 0, "0 days"),
        ("2026-03-28", "2025-03-27", -366, "1 year, 1 day"),
        ("0001-01-01", "9999-12-31", 3_652_058, "9998 years, 11 months, 30 days"),
    ],
)
def test_days_between_dates(start: str, end: str, days: int, calendar: str) -> None:
    """Counted exactly, below zero backwards, and said as people say it."""
    told = days_between(date.fromisoformat(start), date.fromisoformat(end))
    assert (told["days"], told["calendar"]) == (days, calendar)
    assert told["end"] == f"{date.fromisoformat(end):%A} {end}"


@settings(deadline=None)
@given(st.dates(date(1, 1, 1), date(9990, 1, 1)), st.dates(date(1, 1, 1), date(9990, 1, 1)))
def test_the_calendar_words_lead_back_to_the_end(first: date, last: date) -> None:
    """The years and months, then the days, added to the first date give the last one."""
    first, last = sorted([first, last])
    words = str(days_between(first, last)["calendar"])
    counts = {unit: int(number) for number, unit in re.findall(r"(\d+) (year|month|day)", words)}
    months = counts.get("year", 0) * 12 + counts.get("month", 0)
    there = date.fromisoformat(add_time(months, "months", first.isoformat())["date"])
    assert there + timedelta(days=counts.get("day", 0)) == last


def test_today_is_today_where_the_user_is() -> None:
    """On the Line Islands the day begins a day before it ends in Samoa; today follows the zone."""
    there, here = (days_between("today", date(2100, 1, 1), zone)["start"] for zone in ("Kiritimati", "Pago_Pago"))
    before, after = datetime.now(ZoneInfo("Pacific/Pago_Pago")), datetime.now(ZoneInfo("Pacific/Pago_Pago"))
    assert there != here
    assert str(here).split()[1] in {f"{before:%Y-%m-%d}", f"{after:%Y-%m-%d}"}


@pytest.mark.anyio
async def test_a_model_calls_it_in_json() -> None:
    """The words a model may write, through the schema it sees; a date that does not exist never reaches the tool."""
    tool = Tool.of(days_between)
    context = Context(deps=None, run_id="r", call_id="c", tool="days_between")
    told = await tool.invoke('{"start": "2026-03-28", "end": "2026-04-01"}', context)
    assert isinstance(told, dict)
    assert told["days"] == 4
    assert await tool.invoke('{"start": "today", "end": "today"}', context)
    with pytest.raises(InvalidArguments, match="end"):
        await tool.invoke('{"start": "today", "end": "2026-02-30"}', context)


def test_a_small_model_can_choose_among_clock_calc_and_units() -> None:
    """The embedded model takes five tools at most; these three modules together are no more."""
    assert len([tool for name in ("clock", "calc", "units") for tool in load_tools(name)]) <= 5


@pytest.mark.parametrize("module", ["clock", "calc", "units", "text", "files"])
def test_every_tool_explains_itself_to_the_model(module: str) -> None:
    """Each has a summary of one short line and describes each parameter."""
    for tool in map(Tool.of, load_tools(module)):
        assert 15 < len(tool.description.splitlines()[0]) <= 120
        for parameter in tool.parameters["properties"].values():
            assert 8 < len(parameter["description"]) <= 120
