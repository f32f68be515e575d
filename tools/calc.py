"""A pocket calculator that runs no code, does not hang, and does not fill the memory.

The text is read and worked out here, term by term; Python's own parser never sees it. Its length, its nesting and the
size of every number on the way are bounded, so the worst input takes milliseconds.
Numbers are exact fractions (0.1 + 0.2 is 0.3) until a root, a logarithm or an angle makes them decimals of 50 digits.
"""

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Context, Decimal, DivisionByZero, InvalidOperation, Overflow, Underflow, localcontext
from difflib import get_close_matches
from fractions import Fraction
from typing import Any

from agentkit import ToolFailed, tool

Number = Fraction | Decimal
"""A Fraction is exact, a Decimal is rounded."""

_MAX_CHARS, _MAX_DEPTH = 1000, 50
_MAX_BITS = 3400  # of a numerator or a denominator: a little more than 1,000 digits
_MAX_FACTORIAL, _MAX_ANGLE, _MAX_EXPONENT = 450, 10**9, 10**18
_NOISE = Decimal("1e-45")
_WORKING = Context(prec=50, Emax=1100, Emin=-1100, traps=[InvalidOperation, DivisionByZero, Overflow, Underflow])
_TRUSTED, _SHOWN = Context(prec=40), Context(prec=28)
_PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459")


@tool(effects="read")
def calculate(expression: str) -> str:
    """Calculate with numbers: sums, products, percentages, powers, square roots, logarithms and angles.

    Whole numbers are exact, other results have up to 28 digits. 20% is 0.2. Angles are in radians.
    log(x) is the natural logarithm, log(x, 10) the decimal one.

    Args:
        expression: Such as (2 + 3) * 4^2, 15% of 80, sqrt(2), 5!, round(10 / 3, 2) or sin(radians(30)).
    """
    if len(expression) > _MAX_CHARS:
        raise ToolFailed(f"the expression is longer than {_MAX_CHARS} characters; work it out in parts")
    parser = _Parser(text=expression, tokens=_tokens(expression))
    with localcontext(_WORKING):
        value = parser.sum()
    if parser.tokens[parser.at].kind != "end":
        raise parser.unexpected()
    return _shown(value)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Token:
    kind: str  # number, name or sign; end after the last
    text: str
    start: int
    end: int


_TOKEN = re.compile(
    r"(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<sign>\*\*|//|[-+*/^%!°(),×÷−·]|of\b)"  # noqa: RUF001 - people write these signs
    r"|(?P<name>[A-Za-z][A-Za-z0-9_]*|π)"
    r"|(?P<space>\s+)"
)
_SYNONYMS = {"×": "*", "·": "*", "of": "*", "÷": "/", "−": "-", "**": "^", "π": "pi"}  # noqa: RUF001


def _tokens(text: str) -> list[_Token]:
    tokens, at = [], 0
    while at < len(text):
        if (match := _TOKEN.match(text, at)) is None:
            raise ToolFailed(f"{text[at]!r} at character {at + 1} is not arithmetic; use numbers, + - * / ^ % ! and ()")
        kind, word, at = str(match.lastgroup), match[0], match.end()
        if kind != "space":
            tokens.append(_Token(kind=kind, text=_SYNONYMS.get(word, word.lower()), start=match.start(), end=at))
    return [*tokens, _Token(kind="end", text="", start=at, end=at)]


@dataclass(kw_only=True, slots=True)
class _Parser:
    """Recursive descent, a method for each level of precedence, that works out what it reads."""

    text: str
    tokens: list[_Token]
    at: int = 0
    depth: int = 0
    percent: bool = False  # the last term was a bare percentage

    def sum(self) -> Number:
        start, value, percent = self.at, self.term(), self.percent
        while sign := self.take("+", "-"):
            right = self.term()
            if self.percent and not percent and value != 1:
                what = "is unclear: write 50 * (1 + 10%) for a change by 10%, or 50 + 0.1"
                raise ToolFailed(f"{self.part(start)} {what}")
            percent = percent and self.percent
            value = self.apply(start, _BINARY[sign], value, right)
        self.percent = percent
        return value

    def term(self) -> Number:
        start, value = self.at, self.signed()
        self.percent = self.tokens[self.at - 1].text == "%"
        while sign := self.take("*", "//", "/"):
            value = self.apply(start, _BINARY[sign], value, self.signed())
            self.percent = False
        return value

    def signed(self) -> Number:
        negative = False
        while sign := self.take("-", "+"):
            negative ^= sign == "-"
        value = self.power()
        return -value if negative else value

    def power(self) -> Number:
        start, base = self.at, self.suffixed()
        if self.take("^"):
            return self.apply(start, _BINARY["^"], base, self.nested(self.signed))
        return base

    def suffixed(self) -> Number:
        start, value = self.at, self.atom()
        while sign := self.take(*_SUFFIX):
            value = self.apply(start, _SUFFIX[sign], value)
        return value

    def atom(self) -> Number:
        start, token = self.at, self.tokens[self.at]
        self.at += token.kind != "end"
        if token.kind == "number":
            return self.apply(start, _number, token.text)
        if token.text == "(":
            value = self.nested(self.sum)
            self.expect(")")
            return value
        if token.text in _CONSTANTS:
            return _CONSTANTS[token.text]
        if token.kind == "name":
            return self.call(start, token.text)
        self.at = start
        raise self.unexpected()

    def call(self, start: int, name: str) -> Number:
        if name not in _FUNCTIONS:
            known = [*_FUNCTIONS, *_CONSTANTS]
            near = get_close_matches(name, known)
            hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"
            raise ToolFailed(f"there is no {name[:32]!r}; {hint}")
        function, least, most = _FUNCTIONS[name]
        self.expect("(")
        values = [self.nested(self.sum)]
        while self.take(","):
            values.append(self.nested(self.sum))
        self.expect(")")
        if not least <= len(values) <= most:
            raise ToolFailed(f"{name} takes {' or '.join(map(str, {least: 0, most: 0}))} numbers, not {len(values)}")
        return self.apply(start, function, *values)

    def nested(self, read: Callable[[], Number]) -> Number:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise ToolFailed(f"the expression is nested more than {_MAX_DEPTH} deep; work it out in parts")
        value = read()
        self.depth -= 1
        return value

    def apply(self, start: int, function: Callable[..., Number], *values: object) -> Number:
        """One step of the work; what goes wrong in it is said of its part of the text."""
        try:
            return _bounded(function(*values))
        except (ZeroDivisionError, InvalidOperation):  # the latter for 0 / 0
            raise ToolFailed(f"{self.part(start)} divides by zero") from None
        except ArithmeticError:
            raise ToolFailed(f"{self.part(start)} is too big or too small: numbers have 1000 digits at most") from None
        except ValueError as error:
            raise ToolFailed(f"{self.part(start)}: {error}") from None

    def take(self, *signs: str) -> str:
        """Read on past one of these signs, if it comes next."""
        token = self.tokens[self.at]
        if token.kind != "sign" or token.text not in signs:
            return ""
        self.at += 1
        return token.text

    def expect(self, sign: str) -> None:
        if not self.take(sign):
            raise self.unexpected()

    def part(self, start: int) -> str:
        text = self.text[self.tokens[start].start : self.tokens[self.at - 1].end]
        return repr(text if len(text) <= 60 else f"{text[:28]}...{text[-28:]}")

    def unexpected(self) -> ToolFailed:
        token = self.tokens[self.at]
        if token.kind == "end":
            return ToolFailed("the expression ends too early: a number or a ')' is missing")
        place = f"{token.text[:32]!r} at character {token.start + 1}"
        if self.at and self.tokens[self.at - 1].text == "%":
            return ToolFailed(f"{place} follows a percentage: % is percent, mod(7, 3) is the remainder")
        if token.text == ",":
            return ToolFailed(f"{place} is out of place: write 1000 or 0.5, not 1,000 or 0,5")
        return ToolFailed(f"{place} is out of place: an operator or a number is missing before it")


def _number(text: str) -> Number:
    if abs(int(re.split("[eE]", text + "e0")[1])) > 1000:
        raise OverflowError
    return Fraction(text)


def _decimal(x: Number) -> Decimal:
    return x if isinstance(x, Decimal) else Decimal(x.numerator) / Decimal(x.denominator)


def _exact(x: Number) -> Fraction:
    """A decimal's last digits are noise: log(1000) / log(10) is meant to be 3, also to floor()."""
    return Fraction(_TRUSTED.plus(x)) if isinstance(x, Decimal) else x


def _bits(x: Fraction) -> int:
    return max(x.numerator.bit_length(), x.denominator.bit_length())


def _bounded(x: Number) -> Number:
    """The number if it is small enough to go on with, rounded if that makes it so."""
    if isinstance(x, Decimal) or _bits(x) <= _MAX_BITS:
        return x
    if x.denominator == 1:
        raise OverflowError
    return _decimal(x)


def _alike(a: Number, b: Number) -> tuple[Any, Any]:
    """Two numbers of one kind: Python does not mix fractions and decimals."""
    both_exact = isinstance(a, Fraction) and isinstance(b, Fraction)
    return (a, b) if both_exact else (_decimal(a), _decimal(b))


def _add(*terms: Number) -> Number:
    total = terms[0]
    for term in terms[1:]:
        a, b = _alike(total, term)
        total = a + b
        if isinstance(total, Decimal) and abs(total) < max(abs(a), abs(b)) * _NOISE:
            total = Fraction(0)  # all that is left is rounding
        total = _bounded(total)
    return total


def _power(base: Number, exponent: Number) -> Number:
    whole = _exact(exponent)
    if not base and exponent < 0:
        raise ZeroDivisionError
    if base < 0 and whole.denominator != 1:
        raise ValueError("a negative number has real powers only for whole exponents")
    if not whole or not base or base == 1:
        return Fraction(1 if base or not whole else 0)
    if whole.denominator != 1:
        return _decimal(base) ** _decimal(exponent)
    if isinstance(base, Fraction) and (_bits(base) - 1) * abs(whole) <= _MAX_BITS:
        return Fraction(base**whole.numerator)
    if isinstance(base, Fraction) and base.denominator == 1 and whole > 0:
        raise OverflowError  # before the work, not after it
    if abs(whole) > _MAX_EXPONENT:
        raise ValueError(f"exponents go up to {_MAX_EXPONENT:,}")
    return _decimal(base) ** whole.numerator


def _factorial(n: Number) -> Number:
    whole = _exact(n)
    if whole < 0 or whole.denominator != 1:
        raise ValueError("a factorial needs a whole number from 0")
    if whole > _MAX_FACTORIAL:
        raise OverflowError
    return Fraction(math.factorial(whole.numerator))


def _sqrt(x: Number) -> Number:
    if x < 0:
        raise ValueError("a negative number has no real square root")
    if isinstance(x, Fraction):
        root = Fraction(math.isqrt(x.numerator), math.isqrt(x.denominator))
        if root * root == x:
            return root
    return _decimal(x).sqrt()


def _round(x: Number, digits: Number = Fraction(0)) -> Number:
    """To the nearest, halves away from zero, as taught in school."""
    places = _exact(digits)
    if places.denominator != 1 or abs(places) > 100:
        raise ValueError("the digits to round to are a whole number up to 100")
    scale = Fraction(10) ** places.numerator
    rounded = math.floor(abs(_exact(x)) * scale + Fraction(1, 2)) / scale
    return -rounded if x < 0 else rounded


def _log(x: Number, base: Number | None = None) -> Number:
    if x <= 0 or (base is not None and (base <= 0 or base == 1)):
        raise ValueError("a logarithm needs a number above 0, and a base above 0 that is not 1")
    if base is None:
        return _decimal(x).ln()
    return _decimal(x).log10() if base == 10 else _decimal(x).ln() / _decimal(base).ln()


def _sin_cos(x: Number) -> tuple[Decimal, Decimal]:
    angle = _decimal(x)
    if abs(angle) > _MAX_ANGLE:
        raise ValueError(f"angles go up to {_MAX_ANGLE}")
    quarters = (angle / (_PI / 2)).to_integral_value()
    sine, cosine = _series(angle - quarters * (_PI / 2))
    for _ in range(int(quarters) % 4):
        sine, cosine = cosine, -sine
    # Beyond a quarter turn, pi's missing digits show: sin(pi) is 0, not 1e-50.
    return (round(sine, 38), round(cosine, 38)) if quarters else (sine, cosine)


def _series(x: Decimal) -> tuple[Decimal, Decimal]:
    """Sine and cosine by their Taylor series, for small angles."""
    sine = cosine = Decimal(0)
    term, n = Decimal(1), 0
    while sine + term != sine or cosine + term != cosine:
        signed = -term if n % 4 > 1 else term
        sine, cosine = (sine + signed, cosine) if n % 2 else (sine, cosine + signed)
        n += 1
        term = term * x / n
    return sine, cosine


def _atan(x: Number) -> Decimal:
    tangent = _decimal(x)
    if abs(tangent) > 1:
        return (_PI / 2).copy_sign(tangent) - _atan(1 / tangent)
    angle = Decimal(math.atan(float(tangent)))
    for _ in range(2):  # each step triples the digits that are right: 16, 48, all
        sine, cosine = _series(angle)
        angle += (tangent * cosine - sine) / (cosine + tangent * sine)
    return angle


def _asin(x: Number) -> Decimal:
    sine = _decimal(x)
    if abs(sine) > 1:
        raise ValueError("it needs a number from -1 to 1")
    return (_PI / 2).copy_sign(sine) if abs(sine) == 1 else _atan(sine / (1 - sine * sine).sqrt())


def _shown(x: Number) -> str:
    if isinstance(x, Fraction) and x.denominator == 1:
        return str(x.numerator)
    value = _SHOWN.divide(Decimal(x.numerator), Decimal(x.denominator)) if isinstance(x, Fraction) else x
    value = value.normalize(_SHOWN)
    return format(value, "f" if -8 < value.adjusted() < 28 else "e") if value else "0"


_BINARY: dict[str, Callable[[Number, Number], Number]] = {
    "+": _add,
    "-": lambda a, b: _add(a, -b),
    "*": lambda a, b: operator.mul(*_alike(a, b)),
    "/": lambda a, b: operator.truediv(*_alike(a, b)),
    "//": lambda a, b: Fraction(_exact(a) // _exact(b)),
    "^": _power,
}
_SUFFIX: dict[str, Callable[[Number], Number]] = {
    "!": _factorial,
    "%": lambda x: x / 100,
    "°": lambda x: _decimal(x) * _PI / 180,
}
_CONSTANTS: dict[str, Number] = {"pi": _PI, "e": _WORKING.exp(Decimal(1))}
_FUNCTIONS: dict[str, tuple[Callable[..., Number], int, int]] = {  # with the fewest and the most numbers they take
    "sqrt": (_sqrt, 1, 1),
    "abs": (lambda x: abs(x), 1, 1),
    "round": (_round, 1, 2),
    "floor": (lambda x: Fraction(math.floor(_exact(x))), 1, 1),
    "ceil": (lambda x: Fraction(math.ceil(_exact(x))), 1, 1),
    "min": (lambda *xs: min(xs, key=Fraction), 1, _MAX_CHARS),
    "max": (lambda *xs: max(xs, key=Fraction), 1, _MAX_CHARS),
    "sum": (_add, 1, _MAX_CHARS),
    "mean": (lambda *xs: _add(*xs) / len(xs), 1, _MAX_CHARS),
    "mod": (lambda a, b: _exact(a) % _exact(b), 2, 2),
    "factorial": (_factorial, 1, 1),
    "exp": (lambda x: _decimal(x).exp(), 1, 1),
    "ln": (_log, 1, 1),
    "log": (_log, 1, 2),
    "log10": (lambda x: _log(x, Fraction(10)), 1, 1),
    "log2": (lambda x: _log(x, Fraction(2)), 1, 1),
    "sin": (lambda x: _sin_cos(x)[0], 1, 1),
    "cos": (lambda x: _sin_cos(x)[1], 1, 1),
    "tan": (lambda x: operator.truediv(*_sin_cos(x)), 1, 1),
    "asin": (_asin, 1, 1),
    "acos": (lambda x: _PI / 2 - _asin(x), 1, 1),
    "atan": (_atan, 1, 1),
    "degrees": (lambda x: _decimal(x) * 180 / _PI, 1, 1),
    "radians": (_SUFFIX["°"], 1, 1),
}
