"""Units: exact factors, the spellings people use, and no guess where a name has two meanings."""

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit import Context, Tool, ToolFailed
from agentkit.tools.units import convert

KINDS = {
    "length": "metre km cm nanometre inch foot yard mile nautical_mile mil fathom furlong angstrom au light-year",
    "mass": "gram kg mcg tonne pound ounce stone short_ton long_ton carat grain troy_ounce",
    "temperature": "kelvin celsius fahrenheit rankine",
    "volume": "m3 litre ml cc US_gallon quart pint cup US_fluid_ounce tbsp tsp barrel imperial_gallon imperial_pint",
    "area": "m2 km² hectare acre sq_ft square_inch sq_mi",
    "speed": "m/s km/h mph knot ft/s furlong_per_fortnight",
    "time": "second ms us minute hour day week fortnight month year",
    "data": "byte bit kB MB GB TB KiB MiB GiB TiB Mbit",
    "data rate": "Mbps MB/s kbit/s GiB/h",
    "energy": "joule kJ kWh calorie kcal BTU eV erg",
    "power": "watt kW MW hp PS BTU/h",
    "pressure": "pascal hPa kPa bar mbar atm psi torr mmHg inHg",
    "angle": "degree radian mrad arcminute arcsecond gradian turn",
}


@pytest.mark.parametrize(
    ("value", "source", "target", "result"),
    [
        # NIST Special Publication 811 (2008), appendix B.8, with all digits where it rounds
        (1, "mile", "km", 1.609344),
        (1, "inch", "cm", 2.54),
        (1, "yard", "m", 0.9144),
        (1, "nautical mile", "m", 1852),
        (1, "light year", "m", 9.4607304725808e15),
        (1, "pound", "kg", 0.45359237),
        (1, "ounce", "g", 28.349523125),
        (1, "stone", "kg", 6.35029318),
        (1, "short ton", "kg", 907.18474),
        (1, "long ton", "kg", 1016.0469088),
        (1, "troy ounce", "g", 31.1034768),
        (1, "carat", "mg", 200),
        (1, "US gallon", "L", 3.785411784),
        (1, "cup", "mL", 236.5882365),
        (1, "tbsp", "mL", 14.78676478125),
        (1, "tsp", "mL", 4.92892159375),
        (1, "oil barrel", "L", 158.987294928),
        (1, "cubic inch", "mL", 16.387064),
        (1, "hectare", "m2", 10_000),
        (1, "sq ft", "m²", 0.09290304),
        (1, "mph", "m/s", 0.44704),
        (1, "knot", "km/h", 1.852),
        (1, "kWh", "MJ", 3.6),
        (1, "calorie", "J", 4.184),
        (1, "BTU", "J", 1055.05585262),
        (1, "hp", "W", 745.6998715822702),
        (1, "metric horsepower", "W", 735.49875),
        (1, "atm", "Pa", 101_325),
        (1, "psi", "Pa", 6894.757293168362),
        (760, "torr", "atm", 1),
        (1, "mmHg", "Pa", 133.322387415),
        (1, "inHg", "mmHg", 25.4),
        # the rest
        (1, "imperial gallon", "L", 4.54609),  # UK Units of Measurement Regulations 1995
        (1, "UK pint", "mL", 568.26125),
        (1, "acre", "m2", 4046.8564224),
        (1, "eV", "J", 1.602176634e-19),  # SI Brochure, 9th edition, table 8
        (1, "au", "km", 149_597_870.7),
        (1, "GiB", "MiB", 1024),  # IEC 80000-13
        (1, "GB", "MB", 1000),
        (8, "Mbit/s", "MB/s", 1),
        (1, "TB", "TiB", 0.9094947017729282),
        (100, "fahrenheit", "celsius", 37.77777777777778),
        (98.6, "F", "C", 37),
        (-40, "°C", "°F", -40),
        (0, "celsius", "kelvin", 273.15),
        (0, "kelvin", "rankine", 0),
        (180, "degrees", "radians", math.pi),
        (1, "turn", "gon", 400),
        (6, "months", "days", 182.625),
        (0.1, "m", "mm", 100),
        (0.3, "kg", "g", 300),
    ],
)
def test_factors_are_exact(value: float, source: str, target: str, result: float) -> None:
    """Not nearly right: equal, to the last bit of a float."""
    assert convert(value, source, target)["value"] == result


@pytest.mark.parametrize("kind", KINDS)
def test_there_and_back_is_the_same(kind: str) -> None:
    """Each unit of a kind into each other and back."""
    for a, b in itertools.permutations(KINDS[kind].split(), 2):
        there = convert(12.5, a, b)["value"]
        assert isinstance(there, float)
        assert convert(there, b, a)["value"] == pytest.approx(12.5, rel=1e-12)


@pytest.mark.parametrize(
    ("spellings", "name"),
    [
        ("m metre meter metres meters METERS Meter", "metre"),
        ("km kilometre kilometers KM Km kms", "kilometre"),
        ("ft foot feet Feet FT ft.", "foot"),
        ("in inch inches in. Inches", "inch"),
        ("lb lbs pound pounds LBS lb.", "pound"),
        ("l L litre liters LITRES", "litre"),
        ("°C C celsius Celsius degC centigrade degrees_Celsius ℃", "celsius"),
        ("°F F fahrenheit degrees_fahrenheit deg_F ℉", "fahrenheit"),
        ("m2 m² m^2 sqm sq_m square_metres square-meter metres_squared", "square metre"),
        ("ft3 ft³ cuft cu.ft. cubic_feet cubic_foot", "cubic foot"),
        ("μm µm um micrometre micrometers", "micrometre"),  # noqa: RUF001
        ("kph km/h kmh km_per_hour kilometres_per_hour kilometers/hr", "kilometre per hour"),
        ("mph miles_per_hour mi/h mile/hour", "mile per hour"),
        ("fl_oz fl.oz. floz US_fl_oz fluid_ounces", "US fluid ounce"),
        ("kWh kilowatt-hours kilowatt_hour", "kilowatt hour"),
        ("kB KB kilobyte kilobytes", "kilobyte"),
        ("Mb Mbit megabit megabits", "megabit"),
        ("h hr hrs hour hours", "hour"),
        ("nmi nautical_miles nautical-mile", "nautical mile"),
    ],
)
def test_common_spellings_are_known(spellings: str, name: str) -> None:
    """Symbols, plurals, both English spellings, any case where it decides nothing, hyphens, dots and powers."""
    for spelling in spellings.split():
        assert convert(1, spelling.replace("_", " "), name)["from_unit"] == name
        assert convert(1, name, spelling)["unit"] == name


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        ("mb", "byte", "'mb' may mean megabit or megabyte"),
        ("kb", "byte", "'kb' may mean kilobit or kilobyte"),
        ("MM", "m", "'MM' may mean megametre or millimetre"),
        ("kg", "ton", "'ton' may mean long ton or short ton or tonne"),
        ("Calories", "kJ", "'Calories' may mean calorie or food calorie"),
        ("oz", "oz", "'oz' may mean US fluid ounce or ounce"),
    ],
)
def test_two_meanings_are_not_guessed(source: str, target: str, said: str) -> None:
    """A wrong guess would be wrong by a factor of eight, or of a thousand."""
    with pytest.raises(ToolFailed, match=said):
        convert(1, source, target)


def test_the_other_unit_tells_which_is_meant() -> None:
    """Ounces into millilitres are fluid ounces, into grams they are not; the answer says which it took."""
    assert convert(8, "oz", "ml") == {"value": 236.5882365, "unit": "millilitre", "from_unit": "US fluid ounce"}
    assert convert(8, "oz", "g")["from_unit"] == "ounce"
    assert convert(1, "gallon", "L")["from_unit"] == "US gallon"


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        ("kilomter", "m", "there is no unit 'kilomter'; did you mean .*kilometre"),
        ("m", "Farenheit", "there is no unit 'Farenheit'; did you mean fahrenheit"),
        ("zzzzzz", "m", "there are units of length, mass, temperature"),
        ("km", "kg", r"a kilometre \(length\) cannot be converted to a kilogram \(mass\)"),
        ("m/s", "m", r"a metre per second \(speed\) cannot be converted to a metre \(length\)"),
        ("kg/m3", "kg", r"\(mass per volume\) cannot be converted to a kilogram"),
        ("°C/m", "K/m", "there is no unit '°C/m'"),
    ],
)
def test_what_cannot_be_converted_is_explained(source: str, target: str, said: str) -> None:
    """Near names for a misspelling, and both kinds for a mixture."""
    with pytest.raises(ToolFailed, match=said):
        convert(1, source, target)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_is_a_number(value: float) -> None:
    """Not a number and infinity are refused."""
    with pytest.raises(ToolFailed, match="finite number"):
        convert(value, "m", "km")


def test_physics_is_obeyed() -> None:
    """Nothing is colder than absolute zero; and a result that no float can hold is an error, not infinity."""
    assert convert(-459.67, "fahrenheit", "kelvin")["value"] == 0
    with pytest.raises(ToolFailed, match="-460 fahrenheit is below absolute zero"):
        convert(-460, "fahrenheit", "kelvin")
    with pytest.raises(ToolFailed, match="too large a number of nanometre"):
        convert(1e308, "km", "nm")


NAMES = " ".join(KINDS.values()).replace("_", " ").split()
HOSTILE = st.text(max_size=80) | st.lists(st.sampled_from([*NAMES, "/", " per ", "2", "sq ", "^", "s", "ton"])).map(
    "".join
)


@settings(deadline=None, max_examples=500)
@given(st.floats(allow_nan=True, allow_infinity=True), HOSTILE, HOSTILE)
def test_any_input_ends_in_a_number_or_in_words(value: float, source: str, target: str) -> None:
    """No other exception, and no message as long as the input."""
    try:
        result = convert(value, source, target)["value"]
    except ToolFailed as error:
        said = str(error)
    else:
        assert isinstance(result, float)
        assert math.isfinite(result)
        said = str(result)
    assert len(said) < 400


def test_a_long_chain_of_units_is_no_work() -> None:
    """One `per` is read, not a thousand: each of them could double the meanings."""
    for text in ("ton/" * 10_000, " per ".join(["oz"] * 10_000), "sq " * 10_000, "2" * 10_000):
        with pytest.raises(ToolFailed, match="there is no unit"):
            convert(1, text, "m")


@pytest.mark.anyio
async def test_a_model_calls_it_in_json() -> None:
    """Through the schema the model sees: whole numbers are numbers too."""
    context = Context(deps=None, run_id="r", call_id="c", tool="convert")
    told = await Tool.of(convert).invoke('{"value": 10, "from_unit": "miles", "to_unit": "km"}', context)
    assert told == {"value": 16.09344, "unit": "kilometre", "from_unit": "mile"}
