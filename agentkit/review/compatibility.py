"""Whether whatever fits one JSON Schema fits another too. What cannot be told counts as no.

An old schema is taken apart into cases, one for each choice of its unions; each case is a row of schemas that all hold.
Each case must fit the new schema: then, for each thing that the new one asks, one of the row has asked for it before.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from .json_schema import TELLING, Schema, Unclear, bare, check, key, kind, references, resolved, types, values

Case: TypeAlias = tuple[Mapping[str, Any], ...]

_CHECKED = frozenset(
    {
        *("type", "enum", "const", "$ref", "allOf", "anyOf", "oneOf", "discriminator", "$defs", "definitions"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength"),
        *("prefixItems", "items", "minItems", "maxItems", "uniqueItems", "properties", "required", "minProperties"),
        *("additionalProperties", "maxProperties", "patternProperties", "propertyNames"),
    }
)
"""Keywords that are understood here. Of all others it is enough that they have not changed."""
_FOR_VALUES = frozenset(
    {
        *("type", "enum", "const", "$ref", "anyOf", "minLength", "maxLength"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    }
)
_TOGETHER = {
    **dict.fromkeys(("contains", "minContains", "maxContains"), ("contains", "minContains", "maxContains")),
    **dict.fromkeys(("if", "then", "else"), ("if", "then", "else")),
}
"""Keywords that mean something only beside each other."""
_MOST_CASES = 256
_MOST_STEPS = 200_000


class Comparison:
    """Two schemas; parts of them can be compared, in which `$ref` means what it means there."""

    def __init__(self, old: Schema, new: Schema) -> None:
        self.old = old
        self.new = new
        self._cases_of: dict[int, list[Case]] = {}
        self._pieces_of: dict[int, list[Case]] = {}
        self._texts: dict[int, str] = {}
        self._allowed_by: dict[int, tuple[frozenset[str], set[Any] | None]] = {}
        self._kept: list[object] = []
        """What ids in the tables stand for: it must not be freed, or another would get its id."""
        self._fitting: dict[tuple[int, int], None] = {}
        """Pairs that fit, or that do if those fit that are being looked at: what holds itself is its own proof."""
        self._unfit: set[tuple[int, int]] = set()
        self._steps = 0

    def fits(self, old: Schema, new: Schema) -> bool:
        """Whether all that fits `old`, of the old schema, fits `new`, of the new one."""
        try:
            return self.same(old, new) or self._fits(old, new)
        except (Unclear, RecursionError):
            self._fitting.clear()
            return False

    def same(self, old: Schema, new: Schema) -> bool:
        """Whether both ask for the same, in the same words."""
        compared: set[str] = set()
        waiting: list[tuple[Schema, Schema]] = [(old, new)]
        while waiting:
            before, now = waiting.pop()
            text = self._text(before)
            if text != self._text(now):
                return False
            for reference in references(text) - compared:
                compared.add(reference)
                try:
                    waiting.append((resolved(self.old, reference), resolved(self.new, reference)))
                except Unclear:
                    return False
        return True

    def _text(self, schema: Schema) -> str:
        text = self._texts.get(id(schema))
        if text is None:
            self._kept.append(schema)
            text = self._texts[id(schema)] = json.dumps(bare(schema), sort_keys=True)
        return text

    def _fits(self, old: Schema, new: Schema) -> bool:
        return all(self._case_fits(case, new) for case in self._cases(old))

    def _cases(self, schema: Schema, inside: tuple[str, ...] = ()) -> list[Case]:
        """The choices that an old schema has. They may take more than it does, never less."""
        if isinstance(schema, bool):
            return [()] if schema else []
        check(schema, self.old)
        if (known := self._cases_of.get(id(schema))) is not None:
            return known
        asked: dict[str, Any] = {"required": [tag]} if (tag := _tag(schema)) else {}
        cases: list[Case] = [(schema, asked)] if asked else [(schema,)]
        if (reference := schema.get("$ref")) is not None:
            if reference in inside:
                raise Unclear(reference)
            cases = _both(cases, self._cases(resolved(self.old, reference), (*inside, reference)))
        for each in schema.get("allOf", ()):
            cases = _both(cases, self._cases(each, inside))
        for union in ("anyOf", "oneOf"):
            if union in schema:
                cases = _both(cases, [case for each in schema[union] for case in self._cases(each, inside)])
        self._kept.append(schema)
        self._cases_of[id(schema)] = cases
        return cases

    def _case_fits(self, case: Case, new: Schema) -> bool:
        if isinstance(new, bool):
            return new or not types(case)
        pair = (id(case), id(new))
        if pair in self._fitting:
            return True
        if pair in self._unfit:
            return False
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise Unclear("it is too large")
        check(new, self.new)
        known = len(self._fitting)
        self._fitting[pair] = None
        self._kept += [case, new]
        if self._holds(case, new):
            return True
        while len(self._fitting) > known:  # what was concluded from this pair
            self._fitting.popitem()
        self._unfit.add(pair)
        return False

    def _holds(self, case: Case, new: Mapping[str, Any]) -> bool:
        if not types(case):
            return True
        named = values(case)
        if named is not None and all(self._takes(new, value) for value in named):
            return True
        if "$ref" in new and not self._case_fits(case, resolved(self.new, new["$ref"])):
            return False
        if not all(self._case_fits(case, each) for each in new.get("allOf", ())):
            return False
        if "anyOf" in new and not self._some_fits(case, new["anyOf"]):
            return False
        if "oneOf" in new and not self._one_fits(case, new):
            return False
        if (tag := _tag(new)) and "object" in types(case) and tag not in _required(case):
            return False
        return self._plain_fits(case, new)

    def _some_fits(self, case: Case, choices: Sequence[Schema]) -> bool:
        if any(self._case_fits(case, each) for each in choices):
            return True
        pieces = self._pieces(case)
        return len(pieces) > 1 and all(any(self._case_fits(p, each) for each in choices) for p in pieces)

    def _one_fits(self, case: Case, new: Mapping[str, Any]) -> bool:
        choices = new["oneOf"]
        if any("oneOf" in each and self._unchanged(each, new, ("oneOf", "discriminator")) for each in case):
            return True
        return self._some_fits(case, choices) and _are_apart(choices, _tag(new), self.new)

    def _pieces(self, case: Case) -> list[Case]:
        """A case of several types, type by type."""
        known = self._pieces_of.get(id(case))
        if known is None:
            self._kept.append(case)
            known = [(*case, {"type": each}) for each in sorted(types(case))]
            self._pieces_of[id(case)] = known
        return known

    def _plain_fits(self, case: Case, new: Mapping[str, Any]) -> bool:
        kinds = types(case)
        new_kinds, allowed = self._allowed(new)
        if not kinds <= new_kinds:
            return False
        named = None if allowed is None else values(case)
        if allowed is not None and (named is None or not allowed.issuperset(map(key, named))):
            return False
        for keyword in new.keys() - _CHECKED - TELLING:
            together = _TOGETHER.get(keyword, (keyword,))
            whole = keyword.startswith("unevaluated")
            if not any(self.same(each, new) if whole else self._unchanged(each, new, together) for each in case):
                return False
        if kinds & {"integer", "number"} and not _numbers_fit(case, new, whole="number" not in kinds):
            return False
        if "string" in kinds and not _lengths_fit(case, new, "Length"):
            return False
        if "array" in kinds and not self._arrays_fit(case, new):
            return False
        return "object" not in kinds or self._objects_fit(case, new)

    def _allowed(self, new: Mapping[str, Any]) -> tuple[frozenset[str], set[Any] | None]:
        """The types that a new schema takes, and the values, if it names some."""
        allowed = self._allowed_by.get(id(new))
        if allowed is None:
            self._kept.append(new)
            named = values((new,)) if "enum" in new or "const" in new else None
            allowed = types((new,)), None if named is None else set(map(key, named))
            self._allowed_by[id(new)] = allowed
        return allowed

    def _unchanged(self, old: Mapping[str, Any], new: Mapping[str, Any], keywords: Sequence[str]) -> bool:
        return self.same(*({k: each[k] for k in keywords if k in each} for each in (old, new)))

    def _arrays_fit(self, case: Case, new: Mapping[str, Any]) -> bool:
        longest = min(map(_longest, case), default=math.inf)
        if longest > new.get("maxItems", math.inf) or not _lengths_fit(case, {**new, "maxItems": math.inf}, "Items"):
            return False
        if new.get("uniqueItems") and longest > 1 and not any(each.get("uniqueItems") for each in case):
            return False
        if "items" not in new and "prefixItems" not in new:
            return True
        return any(self._items_fit(each, new, longest) for each in case or ({},))

    def _items_fit(self, old: Mapping[str, Any], new: Mapping[str, Any], longest: float) -> bool:
        before, now = old.get("prefixItems", ()), new.get("prefixItems", ())
        fixed = max(len(before), len(now))
        for n in range(fixed):
            if n < longest and not self._fits(_at(before, n, old), _at(now, n, new)):
                return False
        return longest <= fixed or self._fits(old.get("items", True), new.get("items", True))

    def _objects_fit(self, case: Case, new: Mapping[str, Any]) -> bool:
        required = _required(case)
        if not set(new.get("required", ())) <= required:
            return False
        fewest = max([len(required), *(each.get("minProperties", 0) for each in case)])
        most = min(map(_most_keys, case), default=math.inf)
        if new.get("minProperties", 0) > fewest or new.get("maxProperties", math.inf) < most:
            return False
        names = new.get("propertyNames", True)
        if names is not True:
            text = {"type": "string"}
            if not any(self._fits(each.get("propertyNames", text), names) for each in case):
                return False
        if not new.keys() & {"properties", "patternProperties", "additionalProperties"}:
            return True
        return any(self._keys_fit(each, new) for each in case or ({},))

    def _keys_fit(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
        before, now = old.get("properties", {}), new.get("properties", {})
        others, new_others = old.get("additionalProperties", True), new.get("additionalProperties", True)
        patterns, new_patterns = old.get("patternProperties", {}), new.get("patternProperties", {})
        if patterns.keys() != new_patterns.keys():
            return False
        unnamed = True if patterns else others  # a pattern may allow what `others` does not
        return (
            all(self._fits(patterns[each], new_patterns[each]) for each in patterns)
            and all(self._fits(before.get(name, unnamed), now[name]) for name in now)
            and all(self._fits(before[name], new_others) for name in before.keys() - now.keys())
            and self._fits(others, new_others)
        )

    def _takes(self, new: Schema, value: Any) -> bool:
        """Whether a new schema surely takes a value."""
        if isinstance(new, bool):
            return new
        asked = new.keys() - TELLING - {"$defs", "definitions"}
        if isinstance(value, list | dict):
            asked -= {"type", "enum", "const"}
            if asked:
                return False
        if asked - _FOR_VALUES:
            return False
        choices: Sequence[Schema] = new.get("anyOf", (True,))
        kinds, allowed = self._allowed(new)
        return (
            kind(value) in kinds
            and (allowed is None or key(value) in allowed)
            and ("$ref" not in new or self._takes(resolved(self.new, new["$ref"]), value))
            and any(self._takes(each, value) for each in choices)
            and (isinstance(value, str | bool | list | dict | None) or _numbers_fit(_pinned(value), new, whole=False))
            and (not isinstance(value, str) or _lengths_fit(_pinned(len(value)), new, "Length"))
        )


def _both(one: list[Case], other: list[Case]) -> list[Case]:
    if len(one) * len(other) > _MOST_CASES:
        raise Unclear("it has too many choices")
    return [(*a, *b) for a in one for b in other]


def _tag(schema: Mapping[str, Any]) -> str | None:
    """The property that tells the choices of a union apart, which must then be there."""
    discriminator = schema.get("discriminator")
    return discriminator.get("propertyName") if isinstance(discriminator, Mapping) else None


def _required(case: Case) -> set[str]:
    return {name for each in case for name in each.get("required", ())}


def _numbers_fit(case: Case, new: Mapping[str, Any], *, whole: bool) -> bool:
    for side in ("inimum", "aximum"):
        wanted, given = _bound((new,), side, whole=whole), _bound(case, side, whole=whole)
        if wanted is not None and (given is None or given < wanted):
            return False
    step = new.get("multipleOf")
    if step is None or (whole and step == 1):
        return True
    return any(_is_multiple(each["multipleOf"], step) for each in case if "multipleOf" in each)


def _bound(case: Case, side: str, *, whole: bool) -> tuple[float, bool] | None:
    """The tightest limit, the greater the tighter, and whether it is itself excluded."""
    sign = 1 if side == "inimum" else -1
    limits = [(sign * each[f"m{side}"], False) for each in case if f"m{side}" in each]
    limits += [(sign * each[f"exclusiveM{side}"], True) for each in case if f"exclusiveM{side}" in each]
    if whole:
        limits = [(math.floor(n) + 1 if excluded else math.ceil(n), False) for n, excluded in limits]
    return max(limits, default=None)


def _is_multiple(step: float, of: float) -> bool:
    return step == of or (isinstance(step, int) and isinstance(of, int) and step % of == 0)


def _pinned(value: float) -> Case:
    limits = ("minimum", "maximum", "multipleOf", "minLength", "maxLength")
    return (dict.fromkeys(limits, value),)


def _lengths_fit(case: Case, new: Mapping[str, Any], of: str) -> bool:
    fewest = max((each.get(f"min{of}", 0) for each in case), default=0)
    most = min((each.get(f"max{of}", math.inf) for each in case), default=math.inf)
    wanted: tuple[float, float] = new.get(f"min{of}", 0), new.get(f"max{of}", math.inf)
    return wanted[0] <= fewest and most <= wanted[1]


def _longest(old: Mapping[str, Any]) -> float:
    """The items that an array can have."""
    ends = len(old.get("prefixItems", ())) if old.get("items") is False else math.inf
    most: float = old.get("maxItems", math.inf)
    return min(ends, most)


def _at(fixed: Sequence[Schema], place: int, schema: Mapping[str, Any]) -> Schema:
    return fixed[place] if place < len(fixed) else schema.get("items", True)


def _most_keys(old: Mapping[str, Any]) -> float:
    is_closed = old.get("additionalProperties") is False and not old.get("patternProperties")
    most: float = old.get("maxProperties", math.inf)
    return min(len(old.get("properties", ())), most) if is_closed else most


def _are_apart(choices: Iterable[Schema], tag: str | None, root: Schema) -> bool:
    """Whether nothing fits two of the choices: they are of other types, or a property that must be there differs."""
    seen: list[tuple[frozenset[str], dict[str, set[Any]]]] = []
    for choice in choices:
        kinds, marks = _marks(choice, tag, root)
        for other_kinds, other_marks in seen:
            both = kinds & other_kinds
            if both and not (
                both == {"object"} and any(marks[n].isdisjoint(other_marks[n]) for n in marks.keys() & other_marks)
            ):
                return False
        seen.append((kinds, marks))
    return True


def _marks(choice: Schema, tag: str | None, root: Schema) -> tuple[frozenset[str], dict[str, set[Any]]]:
    """The types of a choice, and the values of its properties that must be there, where they are few."""
    choice = _target(choice, root)
    marks = {}
    for name in {*choice.get("required", ()), *([tag] if tag else ())}:
        if name in (properties := choice.get("properties", {})):
            named = values([_target(properties[name], root)])
            if named is not None:
                marks[name] = {key(value) for value in named}
    return types([choice]), marks


def _target(schema: Schema, root: Schema) -> Mapping[str, Any]:
    """What a schema refers to, if it does nothing else. What else there is only makes it take less."""
    for _ in range(_MOST_CASES):
        if isinstance(schema, bool):
            return {} if schema else {"enum": []}
        check(schema, root)
        if "$ref" not in schema:
            found: Mapping[str, Any] = schema
            return found
        schema = resolved(root, schema["$ref"])
    raise Unclear("it refers to itself")
