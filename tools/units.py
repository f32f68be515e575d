"""Units: one quantity in another unit of the same kind.

Factors are exact fractions wherever the unit is defined exactly, so that 1 mile is 1.609344 km and nothing else.
Sources: the SI Brochure, 9th edition, 2019 (tables 7 and 8); NIST Special Publication 811, 2008 (appendix B);
the UK Units of Measurement Regulations 1995 (imperial volumes); IEC 80000-13 (1 kB is 1000 bytes, 1 KiB is 1024).
Names without a country (gallon, pint, cup) are the US ones. A year is the Julian year of 365.25 days, a month
a twelfth of it.
"""

import math
import unicodedata
from dataclasses import dataclass, replace
from difflib import get_close_matches
from fractions import Fraction

from agentkit import ToolFailed, tool


@tool(effects="read")
def convert(value: float, from_unit: str, to_unit: str) -> dict[str, float | str]:
    """Convert a measurement to another unit: length, mass, temperature, volume, area, speed, time, data and more.

    Args:
        value: The number to convert.
        from_unit: Its unit, such as mile, kg, celsius, cup, km/h or GB.
        to_unit: The unit to convert it to.
    """
    if not math.isfinite(value):
        raise ToolFailed(f"{value!r} cannot be converted; give a finite number")
    source, target = _pair(from_unit, to_unit)
    amount = Fraction(str(value)) * source.factor + source.offset
    if source.kind == "temperature" and amount < 0:
        raise ToolFailed(f"{value} {source.name} is below absolute zero")
    try:
        result = float((amount - target.offset) / target.factor)
    except OverflowError:
        raise ToolFailed(f"{value} {source.name} is too large a number of {target.name}; use a larger unit") from None
    return {"value": result, "unit": target.name, "from_unit": source.name}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Unit:
    name: str
    kind: str
    factor: Fraction
    """How many of its kind's base unit it is."""
    offset: Fraction = Fraction(0)
    """Where its zero lies on the base unit's scale."""


# Name and other spellings -> size in the base unit, which is the first of its kind. A star: with the SI's prefixes, or
# those of IEC 80000-13 for data; long ones before the names, short ones before the symbols, which follow the semicolon.
_UNITS = {
    "length": {
        "*metre|meter;m": "1",
        "inch|inches|in": "0.0254",
        "foot|feet|ft": "0.3048",
        "yard|yd": "0.9144",
        "mile|mi": "1609.344",
        "nautical mile|nmi|NM": "1852",
        "mil|thou": "0.0000254",
        "fathom": "1.8288",
        "furlong": "201.168",
        "angstrom|Å": "1e-10",
        "astronomical unit|au|AU": "149597870700",
        "light year|lightyear|ly": "9460730472580800",
    },
    "mass": {
        "*gram|gramme;g": "1",
        "microgram|mcg": "1e-6",
        "tonne|metric ton|t|ton": "1e6",
        "pound|lb|lbs": "453.59237",
        "ounce|oz": "28.349523125",
        "stone|st": "6350.29318",
        "short ton|US ton|ton": "907184.74",
        "long ton|imperial ton|UK ton|ton": "1016046.9088",
        "carat|ct": "0.2",
        "grain|gr": "0.06479891",
        "troy ounce|ozt|oz t": "31.1034768",
    },
    "temperature": {
        "kelvin|K": "1",
        "celsius|C|°C|degree celsius|degrees celsius|degC|deg C|centigrade": "1",
        "fahrenheit|F|°F|degree fahrenheit|degrees fahrenheit|degF|deg F": "5/9",
        "rankine|°R": "5/9",
    },
    "volume": {
        "cubic metre": "1",
        "*litre|liter;L|l": "0.001",
        "cubic centimetre|cc|ccm": "1e-6",
        "US gallon|US gal|gallon|gal": "0.003785411784",
        "US quart|quart|qt": "0.000946352946",
        "US pint|pint|pt": "0.000473176473",
        "US cup|cup": "0.0002365882365",
        "US fluid ounce|US fl oz|fluid ounce|fl oz|floz|oz": "0.0000295735295625",
        "US tablespoon|tablespoon|tbsp|Tbsp": "0.00001478676478125",
        "US teaspoon|teaspoon|tsp": "0.00000492892159375",
        "oil barrel|barrel|bbl": "0.158987294928",
        "imperial gallon|UK gallon": "0.00454609",
        "imperial quart|UK quart": "0.0011365225",
        "imperial pint|UK pint": "0.00056826125",
        "imperial fluid ounce|UK fluid ounce|imperial fl oz|UK fl oz": "0.0000284130625",
    },
    "area": {
        "square metre": "1",
        "hectare|ha": "10000",
        "acre|ac": "4046.8564224",
    },
    "speed": {
        "metre per second": "1",
        "kilometre per hour|kph|kmh|kmph": "5/18",
        "mile per hour|mph": "0.44704",
        "knot|kn|kt": "1852/3600",
    },
    "time": {
        "*second;s|sec": "1",
        "minute|min": "60",
        "hour|h|hr": "3600",
        "day|d": "86400",
        "week|wk": "604800",
        "fortnight": "1209600",
        "mean month|month|mo": "2629800",
        "Julian year|year|yr": "31557600",
    },
    "data": {
        "*byte;B|byte": "1",
        "*bit;b|bit": "1/8",
        "kilobyte|KB|kb": "1000",
    },
    "data rate": {
        "byte per second": "1",
        "*bit per second;bps": "1/8",
    },
    "energy": {
        "*joule;J": "1",
        "*watt hour;Wh": "3600",
        "*calorie|Calorie;cal": "4.184",
        "food calorie|Cal|Calorie": "4184",
        "British thermal unit|BTU|Btu": "1055.05585262",
        "*electronvolt|electron volt;eV": "1.602176634e-19",
        "foot pound|foot pound force|ft lbf|ft lb": "1.3558179483314004",
        "erg": "1e-7",
    },
    "power": {
        "*watt;W": "1",
        "horsepower|hp": "745.69987158227022",
        "metric horsepower|PS": "735.49875",
    },
    "pressure": {
        "*pascal;Pa": "1",
        "*bar;bar": "100000",
        "atmosphere|atm": "101325",
        "pound per square inch|psi": "8896443230521/1290320000",
        "torr|Torr": "101325/760",
        "millimetre of mercury|mmHg": "133.322387415",
        "inch of mercury|inHg": "3386.388640341",
    },
    "angle": {
        "degree|deg|°": "1",
        "radian|rad": "57.295779513082320876798154814105170332405472466564",
        "milliradian|mrad": "0.057295779513082320876798154814105170332405472466564",
        "arcminute|arcmin": "1/60",
        "arcsecond|arcsec": "1/3600",
        "gradian|gon|grad": "0.9",
        "turn|revolution|rev": "360",
    },
}
_OFFSETS = {"celsius": Fraction("273.15"), "fahrenheit": Fraction("459.67") * Fraction(5, 9)}
_DECIMAL = "nano n 1e-9, micro u 1e-6, milli m 1e-3, centi c 1e-2, deci d 1e-1, hecto h 1e2, kilo k 1e3, mega M 1e6, \
giga G 1e9, tera T 1e12, peta P 1e15"
_BINARY = "kilo k 1e3, mega M 1e6, giga G 1e9, tera T 1e12, peta P 1e15, \
kibi Ki 1024, mebi Mi 1048576, gibi Gi 1073741824, tebi Ti 1099511627776, pebi Pi 1125899906842624"
_POWERS = {"square ": 2, "sq ": 2, "sq": 2, "cubic ": 3, "cu ": 3, "cu": 3}
_POWERS_AFTER = {" squared": 2, "2": 2, " cubed": 3, "3": 3}
_QUOTIENTS = {("length", "time"): "speed", ("data", "time"): "data rate", ("energy", "time"): "power"}


def _spellings() -> dict[str, list[_Unit]]:
    """Every spelling of every unit, with the units it may mean."""
    spellings: dict[str, list[_Unit]] = {}
    for kind, units in _UNITS.items():
        for key, size in units.items():
            names, symbols = (part.split("|") for part in f"{key.removeprefix('*')};".split(";")[:2])
            unit = _Unit(name=names[0], kind=kind, factor=Fraction(size), offset=_OFFSETS.get(names[0], Fraction(0)))
            known = dict.fromkeys(filter(None, names + symbols), unit)
            for prefix in (_BINARY if "data" in kind else _DECIMAL).split(", ") if key.startswith("*") else ():
                long, short, times = prefix.split()
                multiple = replace(unit, name=long + unit.name, factor=unit.factor * Fraction(times))
                known |= {long + name: multiple for name in names} | {short + symbol: multiple for symbol in symbols}
            for name, meant in known.items():
                if meant not in spellings.setdefault(name, []):
                    spellings[name].append(meant)
    return spellings


def _in_any_case(spellings: dict[str, list[_Unit]]) -> dict[str, list[_Unit]]:
    folded: dict[str, list[_Unit]] = {}
    for name, units in spellings.items():
        folded.setdefault(name.casefold(), []).extend(units)
    return folded


_EXACT = _spellings()
_FOLDED = _in_any_case(_EXACT)


def _pair(source: str, target: str) -> tuple[_Unit, _Unit]:
    """The two units that are meant: those of the same kind, where a name has several meanings."""
    sources, targets = _meanings(source), _meanings(target)
    pairs = [(a, b) for a in sources for b in targets if a.kind == b.kind]
    if not pairs:
        a, b = sources[0], targets[0]
        raise ToolFailed(f"a {a.name} ({a.kind}) cannot be converted to a {b.name} ({b.kind}); use units of one kind")
    for text, units in ((source, {a.name for a, _ in pairs}), (target, {b.name for _, b in pairs})):
        if len(units) > 1:
            raise ToolFailed(f"{text!r} may mean {' or '.join(sorted(units))}; write the one you mean")
    return pairs[0]


def _meanings(text: str) -> list[_Unit]:
    """The units that a text may mean, in any spelling; at least one."""
    plain = unicodedata.normalize("NFKC", text[:64]).replace("μ", "u")
    for sign in "^_-.":
        plain = plain.replace(sign, "" if sign in "^." else " ")
    plain = " ".join(plain.split())
    found = _simple(plain)
    for sign in (" per ", "/"):
        over, _, under = plain.partition(sign)
        found = found or [
            _quotient(a, b) for a in _simple(over) for b in _simple(under) if not a.offset and not b.offset
        ]
    if not found:
        near = get_close_matches(plain, _EXACT) or get_close_matches(plain.casefold(), _FOLDED)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are units of {', '.join(_UNITS)}"
        raise ToolFailed(f"there is no unit {text[:64]!r}; {hint}")
    return found


def _simple(text: str) -> list[_Unit]:
    """The units of this name, or the square or cube of a length."""
    if found := _named(text):
        return found
    for mark, power in _POWERS.items():
        if text.startswith(mark) and (found := _power(text.removeprefix(mark), power)):
            return found
    for mark, power in _POWERS_AFTER.items():
        if text.endswith(mark) and (found := _power(text.removesuffix(mark), power)):
            return found
    return []


def _named(text: str) -> list[_Unit]:
    for spelling in (text, text.removesuffix("s")):
        if found := _EXACT.get(spelling):
            return found
    folded = text.casefold()
    return _FOLDED.get(folded) or _FOLDED.get(folded.removesuffix("s")) or []


def _power(text: str, power: int) -> list[_Unit]:
    name, kind = ("square", "area") if power == 2 else ("cubic", "volume")
    lengths = [unit for unit in _named(text) if unit.kind == "length"]
    return [_Unit(name=f"{name} {unit.name}", kind=kind, factor=unit.factor**power) for unit in lengths]


def _quotient(a: _Unit, b: _Unit) -> _Unit:
    kind = _QUOTIENTS.get((a.kind, b.kind), f"{a.kind} per {b.kind}")
    return _Unit(name=f"{a.name} per {b.name}", kind=kind, factor=a.factor / b.factor)
