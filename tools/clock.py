"""Clock and calendar: what time it is somewhere, moving a date or time, the days between two dates.

Time zones are IANA names from the machine's own database, or from the `tzdata` package where it has none.
Days, weeks, months and years move the calendar: the wall clock stays, and the end of a month is kept inside the month
(31 January and 1 month is 28 February). Hours, minutes and seconds move time itself, through clock changes too.
A wall time that a clock change leaves out is moved past it; of one that comes twice, the first is meant
(RFC 5545, 3.3.5).
"""

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta, tzinfo
from difflib import get_close_matches
from typing import Literal
from zoneinfo import ZoneInfo, available_timezones

from agentkit import ToolFailed, tool

_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@tool(effects="read")
def now(timezone: str = "UTC") -> dict[str, str]:
    """Tell what time it is now in a city, and what day it is today.

    Args:
        timezone: The city or IANA name, such as Tokyo or Europe/Berlin.
    """
    return _told(datetime.now(_zone(timezone)))


@tool(effects="read")
def add_time(
    amount: int,
    unit: Literal["seconds", "minutes", "hours", "days", "weeks", "months", "years"],
    start: str = "now",
    timezone: str | None = None,
) -> dict[str, str]:
    """Add days, weeks, months or hours to a date or time, and tell its weekday.

    Args:
        amount: How many to add; below zero goes back.
        unit: What to add.
        start: The date or time to add to, such as today, 2026-03-28 or 2026-03-28T14:30.
        timezone: The city or IANA name of the clock that counts; the start's own, else UTC, if not given.
    """
    zone = _zone(timezone) if timezone else None
    begin = _start(start, zone)
    try:
        if unit in ("seconds", "minutes", "hours"):
            moment = begin if isinstance(begin, datetime) else _clock(begin, zone or UTC)
            return _told(_later(moment, timedelta(**{unit: amount})))
        if amount and isinstance(begin, datetime):
            moved = datetime.combine(_moved(begin, amount, unit), begin.time().replace(fold=0), begin.tzinfo)
            return _told(_later(moved, timedelta()))
        return _told(_moved(begin, amount, unit) if amount else begin)
    except (OverflowError, ValueError):
        raise ToolFailed(
            f"so many {unit} from {start[:64]!r} leave the years 1 to 9999; use a smaller amount"
        ) from None


@tool(effects="read")
def days_between(
    start: date | Literal["today"], end: date | Literal["today"], timezone: str = "UTC"
) -> dict[str, int | str]:
    """Count the days between two dates; below zero if the end comes first.

    Args:
        start: The first date, such as 2026-03-28, or today.
        end: The last date, such as 2026-12-24, or today.
        timezone: The city or IANA name where it is today.
    """
    today = datetime.now(_zone(timezone)).date()
    first, last = (today if day == "today" else day for day in (start, end))
    return {
        "days": (last - first).days,
        "calendar": _in_words(min(first, last), max(first, last)),
        "start": f"{_WEEKDAYS[first.weekday()]} {first.isoformat()}",
        "end": f"{_WEEKDAYS[last.weekday()]} {last.isoformat()}",
    }


def _told(when: date) -> dict[str, str]:
    weekday = _WEEKDAYS[when.weekday()]
    if isinstance(when, datetime):
        return {"time": when.isoformat(timespec="seconds"), "weekday": weekday, "timezone": str(when.tzinfo)}
    return {"date": when.isoformat(), "weekday": weekday}


def _zone(name: str) -> tzinfo:
    """The zone of this name, in any case; a city alone will do where only one zone ends in it."""
    wanted = name.strip().lower().replace(" ", "_")
    if wanted == "utc":
        return UTC
    zones: dict[str, list[str]] = {}
    for zone in sorted(available_timezones()):
        for spelling in {zone.lower(), zone.lower().rpartition("/")[2]}:
            zones.setdefault(spelling, []).append(zone)
    if not zones:
        raise ToolFailed("this machine knows no time zone but UTC; use UTC, or install the package 'tzdata'")
    found = zones.get(wanted, [])
    exact = [zone for zone in found if zone.lower() == wanted]
    if len(exact or found) == 1:
        return ZoneInfo((exact or found)[0])
    near = found or [zone for spelling in get_close_matches(wanted[:64], zones) for zone in zones[spelling]]
    hint = f"did you mean {' or '.join(dict.fromkeys(near))}?" if near else "use an IANA name such as Europe/Berlin"
    raise ToolFailed(f"there is no time zone {name[:64]!r}; {hint}")


def _start(text: str, zone: tzinfo | None) -> date:
    """A date, or a time on the clock of the zone asked for, else of the one written with it, else of UTC."""
    text = text.strip()
    if text.lower() in ("now", "today"):
        present = datetime.now(zone or UTC)
        return present if text.lower() == "now" else present.date()
    try:
        if len(text) <= len("2026-03-28"):
            return date.fromisoformat(text)
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            return _later(moment.replace(tzinfo=zone or UTC), timedelta())
        return moment.astimezone(zone) if zone else moment
    except (OverflowError, ValueError):
        raise ToolFailed(
            f"{text[:64]!r} is not a date or time; write now, today, 2026-03-28 or 2026-03-28T14:30"
        ) from None


def _clock(day: date, zone: tzinfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone)


def _later(moment: datetime, span: timedelta) -> datetime:
    """The moment and a span of real time, told by the moment's own clock. (A plain `+` turns the hands instead.)"""
    return (moment.astimezone(UTC) + span).astimezone(moment.tzinfo)


def _moved(day: date, amount: int, unit: str) -> date:
    if unit in ("days", "weeks"):
        return date(day.year, day.month, day.day) + timedelta(**{unit: amount})
    year, month = divmod(day.year * 12 + day.month - 1 + amount * (12 if unit == "years" else 1), 12)
    if not 1 <= year <= 9999:
        raise OverflowError
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def _in_words(first: date, last: date) -> str:
    """The span in whole years, months and days: "1 year, 2 months, 3 days"."""
    months = (last.year - first.year) * 12 + last.month - first.month
    if _moved(first, months, "months") > last:
        months -= 1
    days = (last - _moved(first, months, "months")).days
    counts = ((months // 12, "year"), (months % 12, "month"), (days, "day"))
    return ", ".join(f"{n} {word}{'' if n == 1 else 's'}" for n, word in counts if n) or "0 days"
