"""How two JSON Schemas of a tool's arguments differ, in words, and what that means for calls."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from .compatibility import Comparison
from .json_schema import TELLING, Schema, Unclear, check_whole, key, resolved

Kind: TypeAlias = Literal["breaking", "compatible", "prompt-only"]

_STRUCTURE = frozenset(
    {
        *("type", "enum", "const", "$ref", "$defs", "definitions", "anyOf", "oneOf", "properties", "required"),
        *("additionalProperties", "items", "prefixItems"),
    }
)
_SHORT = 60
_LONG_LIST = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One way in which two schemas differ."""

    kind: Kind
    path: str
    """Where: `sku`, `filters[].name`; empty for the arguments as a whole."""
    what: str
    so: str = ""
    """What that means for calls."""


def differences(old: Schema, new: Schema) -> list[Difference]:
    """How they differ. If none is `breaking`, whatever fits the old one fits the new one."""
    try:
        check_whole(old)
        check_whole(new)
        differ = _Differ(old, new)
        return [*differ.node(old, new, ""), *differ.aside]
    except (Unclear, RecursionError):
        with suppress(RecursionError):
            if old == new:
                return []
        return [_unclear("")]


class _Differ:
    def __init__(self, old: Schema, new: Schema) -> None:
        self.comparison = Comparison(old, new)
        self.aside: list[Difference] = []
        """What has nothing to do with which calls fit."""
        self._seen: dict[tuple[int, int], tuple[str, list[Difference] | None]] = {}
        """Pairs that were looked at, where that was, and what was found; None while they are being looked at."""
        self._met: set[tuple[int, int]] = set()
        """Pairs that were met again inside themselves."""
        self._kept: list[Schema] = []

    def node(self, old: Schema, new: Schema, path: str) -> list[Difference]:
        """How a part of the old schema and one of the new differ."""
        found = list(self._told(old, new, path))
        before, now = self._open(old, self.comparison.old), self._open(new, self.comparison.new)
        pair = id(before), id(now)
        if pair in self._seen:
            first, there = self._seen[pair]
            if there is None:
                self._met.add(pair)
            return [*found, *_again(there or [], first, path)]
        self._kept += [before, now]
        self._seen[pair] = path, None
        inside = [*self._told_inside(old, new, path), *self._shape(before, now, path)]
        self._met.discard(pair)
        found += self._judged(inside, old, new, path)
        self._seen[pair] = path, found
        return found

    def _judged(self, found: list[Difference], old: Schema, new: Schema, path: str) -> list[Difference]:
        """What was found, as the comparison of the two parts has it: that one is exact where these words are not."""
        is_breaking = any(each.kind == "breaking" for each in found)
        if self.comparison.fits(old, new):
            mild = [replace(each, kind="compatible", so="") if each.kind == "breaking" else each for each in found]
            return mild if is_breaking else found
        return found if is_breaking or self._met else [*found, _unclear(path)]

    def _open(self, schema: Schema, root: Schema) -> Schema:
        """What a schema refers to, if that is all it does."""
        for _ in range(100):
            if not isinstance(schema, Mapping) or schema.keys() - TELLING != {"$ref"}:
                return schema
            try:
                schema = resolved(root, schema["$ref"])
            except Unclear:
                return schema
        return schema

    def _told(self, old: Schema, new: Schema, path: str) -> Iterator[Difference]:
        """What a model is told otherwise."""
        before, now = _words_of(old), _words_of(new)
        for keyword in ("title", "description", "examples", "deprecated"):
            if before.get(keyword) != now.get(keyword):
                how = "another" if keyword in before else "a new"
                what = f"has {how} {keyword}, {shown(now[keyword])}" if keyword in now else f"has no {keyword} now"
                yield Difference(kind="prompt-only", path=path, what=what)
        if _differ(before, now, "default"):
            yield Difference(kind="prompt-only", path=path, what=_moved("default", before, now, "the shown default"))
        if bool(before.get("writeOnly")) != bool(now.get("writeOnly")):
            if now.get("writeOnly"):
                self.aside.append(Difference(kind="compatible", path=path, what="is secret now"))
            else:
                so = "its value may be shown and logged"
                self.aside.append(Difference(kind="breaking", path=path, what="is not secret any more", so=so))

    def _told_inside(self, old: Schema, new: Schema, path: str) -> Iterator[Difference]:
        """The same of what they refer to."""
        before, now = self._open(old, self.comparison.old), self._open(new, self.comparison.new)
        if before is not old or now is not new:
            yield from self._told(before, now, path)

    def _shape(self, old: Schema, new: Schema, path: str) -> list[Difference]:
        if isinstance(old, bool) or isinstance(new, bool):
            same = isinstance(old, bool) and isinstance(new, bool) and old == new
            return [] if same else [self._turned(old, new, path)]
        before, now = _choices(old), _choices(new)
        if len(before) > 1 or len(now) > 1:
            return self._union(before, now, (old, new), path)
        if before[0] is not old or now[0] is not new:
            return self.node(before[0], now[0], path)
        return self._plain(old, new, path)

    def _turned(self, old: Schema, new: Schema, path: str) -> Difference:
        kind: Kind = "compatible" if self.comparison.fits(old, new) else "breaking"
        return Difference(kind=kind, path=path, what=f"took {_name(old)}, takes {_name(new)}")

    def _union(
        self, before: list[Schema], now: list[Schema], whole: tuple[Schema, Schema], path: str
    ) -> list[Difference]:
        found: list[Difference] = []
        before, now = (
            [_untold(e) if e is own else e for e in parts] for parts, own in zip((before, now), whole, strict=True)
        )
        for matches in (self.comparison.same, lambda a, b: _name(a) == _name(b)):
            for one in list(before):
                other = next((each for each in now if matches(one, each)), None)
                if other is not None:
                    before.remove(one)
                    now.remove(other)
                    found += self.node(one, other, path)
        if len(before) == len(now) == 1:
            return found + self.node(before[0], now[0], path)
        for one in before:
            fits = self.comparison.fits(one, whole[1])
            what = f"names {_name(one)} no longer" if fits else f"takes {_name(one)} no longer"
            found.append(Difference(kind="compatible" if fits else "breaking", path=path, what=what, so=""))
        found += [Difference(kind="compatible", path=path, what=f"takes {_name(one)} too now") for one in now]
        return found

    def _plain(self, old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> list[Difference]:
        if old.get("type") != new.get("type") and not (_listed(old) and _listed(new)):
            mild = {"integer", "number"} >= {old.get("type"), new.get("type")}
            turned = self._turned(_only(old, "type", "enum", "const"), _only(new, "type", "enum", "const"), path)
            if not mild:
                return [turned]
            return [turned, *self._limits(old, new, path)]
        found = [*self._values(old, new, path), *self._limits(old, new, path)]
        if "properties" in old or "properties" in new or "object" in (old.get("type"), new.get("type")):
            found += self._object(old, new, path)
        if "array" in (old.get("type"), new.get("type")):
            found += self._array(old, new, path)
        return found

    def _values(self, old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> Iterator[Difference]:
        before, now = _listed(old), _listed(new)
        if not before or not now:
            if before != now:
                yield self._turned(old, new, path)
            return
        known, kept = {key(value) for value in before}, {key(value) for value in now}
        if gone := [value for value in before if key(value) not in kept]:
            yield Difference(kind="breaking", path=path, what=f"takes {_list(gone)} no longer")
        if fresh := [value for value in now if key(value) not in known]:
            yield Difference(kind="compatible", path=path, what=f"takes {_list(fresh)} too now")
        if not gone and not fresh and before != now:
            yield Difference(kind="prompt-only", path=path, what="names its values in another order")

    def _limits(self, old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> Iterator[Difference]:
        for keyword in dict.fromkeys([*old, *new]):
            if keyword in _STRUCTURE or keyword in TELLING or not _differ(old, new, keyword):
                continue
            fits = self.comparison.fits(_only(old, "type", keyword), _only(new, "type", keyword))
            what = _moved(keyword, old, new, keyword)
            yield Difference(kind="compatible" if fits else "breaking", path=path, what=what)

    def _object(self, old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> Iterator[Difference]:
        before, now = old.get("properties", {}), new.get("properties", {})
        others, new_others = old.get("additionalProperties", True), new.get("additionalProperties", True)
        needed, new_needed = set(old.get("required", ())), set(new.get("required", ()))
        added = [name for name in now if name not in before]
        for name in before:
            at = f"{path}.{name}".lstrip(".")
            if name not in now:
                twin = next((each for each in added if self.comparison.same(before[name], now[each])), None)
                yield self._removed(self.comparison.fits(before[name], new_others), at, twin)
                continue
            if name in new_needed - needed:
                so = "calls that left it out are refused now"
                yield Difference(kind="breaking", path=at, what="became required", so=so)
            elif name in needed - new_needed:
                yield Difference(kind="compatible", path=at, what="may be left out now")
            yield from self.node(before[name], now[name], at)
        for name in added:
            taken = self.comparison.fits(others, now[name])
            yield _added(f"{path}.{name}".lstrip("."), is_needed=name in new_needed - needed, fits=taken)
        common = [name for name in before if name in now]
        if common != [name for name in now if name in before]:
            yield Difference(kind="prompt-only", path=path, what="names its parameters in another order")
        if not self.comparison.same(others, new_others):
            yield from self._others(others, new_others, path)

    def _removed(self, is_still_taken: bool, path: str, twin: str | None) -> Difference:
        if is_still_taken:
            return Difference(kind="compatible", path=path, what="is named no longer, and still taken")
        perhaps = f", perhaps to be called '{twin}'" if twin else ""
        so = "calls that give it are refused now"
        return Difference(kind="breaking", path=path, what=f"was removed{perhaps}", so=so)

    def _others(self, old: Schema, new: Schema, path: str) -> Iterator[Difference]:
        if old is False:
            yield Difference(kind="compatible", path=path, what="takes further keys now")
        elif new is False:
            so = "calls that give others than those named are refused now"
            yield Difference(kind="breaking", path=path, what="takes no further keys any more", so=so)
        else:
            yield from self.node(old, new, f"{path}.*".lstrip("."))

    def _array(self, old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> Iterator[Difference]:
        before: Sequence[Schema] = old.get("prefixItems", ())
        now: Sequence[Schema] = new.get("prefixItems", ())
        for n, (one, other) in enumerate(zip(before, now, strict=False)):
            yield from self.node(one, other, f"{path}[{n}]")
        if len(before) != len(now):
            fits = self.comparison.fits(old, new)
            what = f"has {len(now)} places of their own kind, had {len(before)}"
            yield Difference(kind="compatible" if fits else "breaking", path=path, what=what)
        ends = any(each.get("maxItems", math.inf) <= len(each.get("prefixItems", ())) for each in (old, new))
        if not ends and ("items" in old or "items" in new):
            yield from self.node(old.get("items", True), new.get("items", True), f"{path}[]")


_BY_WEIGHT: Sequence[Kind] = ("breaking", "compatible", "prompt-only")


def _again(found: Sequence[Difference], first: str, path: str) -> list[Difference]:
    kinds = [each.kind for each in found]
    worst: Kind | None = next((kind for kind in _BY_WEIGHT if kind in kinds), None)
    return [] if worst is None else [Difference(kind=worst, path=path, what=f"changed as '{first}' did")]


def _unclear(path: str) -> Difference:
    what = "takes less than before, or it cannot be told that it takes as much"
    return Difference(kind="breaking", path=path, what=what)


def _added(path: str, *, is_needed: bool, fits: bool) -> Difference:
    if is_needed:
        so = "calls from before do not have it"
        return Difference(kind="breaking", path=path, what="was added, and is required", so=so)
    if fits:
        return Difference(kind="compatible", path=path, what="was added, and may be left out")
    so = "any key was taken here, so a call may have given this one as something else; extra='forbid' closes it"
    return Difference(kind="breaking", path=path, what="was added", so=so)


def _words_of(schema: Schema) -> Mapping[str, Any]:
    return schema if isinstance(schema, Mapping) else {}


def _only(schema: Mapping[str, Any], *keywords: str) -> dict[str, Any]:
    return {keyword: schema[keyword] for keyword in keywords if keyword in schema}


def _choices(schema: Mapping[str, Any]) -> list[Schema]:
    """The parts of a union; a type list is one too."""
    words = schema.keys() - TELLING - {"$defs", "definitions", "discriminator"}
    for union in ("anyOf", "oneOf"):
        if words == {union}:
            return [
                part for each in schema[union] for part in (_choices(each) if isinstance(each, Mapping) else [each])
            ]
    if isinstance(schema.get("type"), list):
        return [{**_untold(schema), "type": kind} for kind in schema["type"]]
    return [schema]


def _untold(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {keyword: value for keyword, value in schema.items() if keyword not in TELLING}


def _listed(schema: Mapping[str, Any]) -> list[Any]:
    return [schema["const"]] if "const" in schema else list(schema.get("enum", ()))


def _differ(old: Mapping[str, Any], new: Mapping[str, Any], keyword: str) -> bool:
    if (keyword in old) != (keyword in new):
        return True
    return keyword in old and json.dumps(old[keyword], sort_keys=True) != json.dumps(new[keyword], sort_keys=True)


def _moved(keyword: str, old: Mapping[str, Any], new: Mapping[str, Any], name: str) -> str:
    if keyword not in new:
        return f"has {name} no more, which was {shown(old[keyword])}"
    if keyword not in old:
        return f"has {name} {shown(new[keyword])} now"
    return f"has {name} {shown(new[keyword])}, had {shown(old[keyword])}"


def _name(schema: Schema) -> str:
    """What a schema takes, in a word or two."""
    if not isinstance(schema, Mapping):
        return "any JSON" if schema else "nothing"
    if "$ref" in schema:
        return f"{str(schema['$ref']).rpartition('/')[2]}"
    if listed := _listed(schema):
        return _list(listed)
    if "type" in schema:
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        inner = f" of {_name(schema['items'])}" if kinds == ["array"] and "items" in schema else ""
        form = f" ({schema['format']})" if isinstance(schema.get("format"), str) else ""
        return " or ".join(map(str, kinds)) + inner + form
    for union in ("anyOf", "oneOf"):
        if union in schema:
            return " or ".join(dict.fromkeys(map(_name, schema[union])))
    return "any JSON" if not schema.keys() - TELLING else "something else"


def _list(values: Sequence[Any]) -> str:
    more = f" and {len(values) - _LONG_LIST} more" if len(values) > _LONG_LIST else ""
    return ", ".join(map(shown, values[:_LONG_LIST])) + more


def shown(value: Any) -> str:
    """A value as JSON, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 3]}..."
