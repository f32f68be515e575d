"""What `lint` finds in the words of tools: names, descriptions, and whatever else a model reads."""

import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from agentkit.tool import Tool

from .json_schema import Schema, Unclear, inner, resolved

Severity: TypeAlias = Literal["error", "warning", "hint"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """Something that is wrong with a tool, or will be."""

    code: str
    """What kind of thing; it does not change: `untyped-parameter`."""
    severity: Severity
    """`error`: a provider refuses it, or it is dangerous. `warning`: models will do worse. `hint`: good to know."""
    tool: str
    """Its name; empty if it is about all of them."""
    parameter: str = ""
    """Which one, if it is about one: `sku`, `filters[].name`."""
    problem: str
    remedy: str

    def __str__(self) -> str:
        where = f"{self.parameter}: " if self.parameter else ""
        return f"{self.severity} {self.code}: {where}{self.problem}; {self.remedy}"


LONGEST_DESCRIPTION = 1024
"""Characters that OpenAI takes."""
_ALIKE = 0.8
"""The share of words that two descriptions may have in common."""
_NAMED = 5
"""Tools that one finding names."""


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_VAGUE = _set(
    "action call callback custom data do exec execute func function go handle handler helper invoke main manage misc "
    "operation perform process run start stuff task test thing tool use util utility work"
)
_VAGUE_PARAMETERS = _set(
    "a arg args arguments b data dict info input inputs item items kwargs list obj object param parameters params "
    "payload stuff thing things val value values var x y z"
)
_SAME_MEANING = [
    "get fetch retrieve read load obtain",
    "search find lookup query",
    "delete remove erase destroy",
    "create make new",
    "update edit modify change",
    "send post submit",
]
_MEANS = {word: words.split()[0] for words in _SAME_MEANING for word in words.split()}
_ORDERS = re.compile(
    r"\b(ignore|disregard|forget|override)\b[^.\n]{0,40}\b(instructions?|prompts?|rules|above|previous)\b"
    r"|</?(system|assistant|user|important|instructions?)\b[^>]{0,40}>"
    r"|\b(do not|don't|never)\s+(tell|mention|show|reveal|inform)\b[^.\n]{0,40}\buser\b"
    r"|\byou are (now|no longer)\b|\bsystem prompt\b"
    r"|\b(before|after|instead of)\s+(using|calling)\s+any\s+(other\s+)?tools?\b",
    re.IGNORECASE,
)
_FILLERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")
"""Letters and marks that look like nothing."""
_JOINERS = frozenset("\u200c\u200d\ufe0e\ufe0f")
"""What belongs between letters of some scripts, and parts of pictures."""


def places(schema: Schema) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """All schemas in a tool's, each once, with the path of the parameter: `filters[].name`."""
    seen: set[int] = set()
    waiting: list[tuple[str, Any]] = [("", schema)]
    while waiting:
        path, found = waiting.pop()
        if not isinstance(found, Mapping) or id(found) in seen:
            continue
        seen.add(id(found))
        yield path, found
        if "$ref" in found:
            try:
                waiting.append((path, resolved(schema, found["$ref"])))
            except Unclear:
                pass  # nobody can say what it is
        waiting += [
            (_joined(path, keyword, name), each)
            for keyword, name, each in reversed(list(inner(found)))
            if keyword not in ("$defs", "definitions")
        ]


def _joined(path: str, keyword: str, name: str) -> str:
    match keyword:
        case "properties":
            return f"{path}.{name}".lstrip(".")
        case "items" | "contains":
            return f"{path}[]"
        case "prefixItems":
            return f"{path}[{name}]"
        case "additionalProperties" | "patternProperties":
            return f"{path}.*".lstrip(".")
    return path


def words_of(tool: Tool) -> Iterator[Finding]:
    """What is wrong with what a tool says."""
    yield from _description(tool)
    parts = _parts(tool.name)
    if len(parts) == 1 and parts[0] in _VAGUE:
        remedy = "name what it does to what, such as 'convert_currency'"
        yield _found("vague-name", "warning", tool, "", f"a model cannot tell what {tool.name!r} does", remedy)
    for name, schema in tool.parameters.get("properties", {}).items():
        if name.lower() in _VAGUE_PARAMETERS and not (isinstance(schema, Mapping) and schema.get("description")):
            remedy = "name what is in it, such as 'order_id'"
            yield _found("vague-parameter", "hint", tool, name, "the name says nothing", remedy)
    yield from _hidden(tool)


def _found(code: str, severity: Severity, tool: Tool, path: str, problem: str, remedy: str) -> Finding:
    return Finding(code=code, severity=severity, tool=tool.name, parameter=path, problem=problem, remedy=remedy)


def _description(tool: Tool) -> Iterator[Finding]:
    text = tool.description.strip()
    said = set(_plain(text)) - _SMALL
    if not text:
        remedy = "write a docstring: what it does, when it is of use, what it gives"
        yield _found("missing-description", "warning", tool, "", "it has no description", remedy)
    elif len(_plain(text)) < 3 or said <= {*_plain(" ".join(_parts(tool.name))), *_SMALL}:
        remedy = "say what the name does not: when it is of use, what it gives"
        yield _found("short-description", "warning", tool, "", f"{text[:40]!r} says little more than its name", remedy)
    elif len(text) > LONGEST_DESCRIPTION:
        problem = f"its description has {len(text):,} characters, and OpenAI takes {LONGEST_DESCRIPTION:,}"
        yield _found("long-description", "warning", tool, "", problem, "say the rest in the parameters' descriptions")


def _hidden(tool: Tool) -> Iterator[Finding]:
    for path, texts in [("", [tool.name, tool.description]), *_texts(tool.parameters)]:
        joined = "\n".join(texts)
        if unseen := hidden(joined):
            named = ", ".join(f"U+{ord(each):04X} {unicodedata.name(each, 'control')}" for each in unseen[:_NAMED])
            problem = f"models read characters in it that people do not see: {named}"
            yield _found(
                "hidden-characters", "error", tool, path, problem, "delete them, or find out who put them there"
            )
        if order := _ORDERS.search(joined):
            problem = f"{' '.join(order[0].split())[:60]!r} gives orders to the model, beyond what the tool does"
            remedy = "say what the tool does; what the model is to do belongs into the instructions"
            yield _found("orders-the-model", "warning", tool, path, problem, remedy)


def _texts(parameters: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """The words that a model reads of each parameter."""
    for path, schema in places(parameters):
        told = [schema[keyword] for keyword in ("title", "description") if isinstance(schema.get(keyword), str)]
        given = [
            schema[keyword] for keyword in ("default", "const", "enum", "examples", "pattern") if keyword in schema
        ]
        names = list(schema.get("properties", ()))
        texts = [*told, *names, *(text for each in given for text in _strings(each))]
        if texts:
            yield path, texts


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from (text for pair in value.items() for each in pair for text in _strings(each))
    elif isinstance(value, list | tuple):
        yield from (text for each in value for text in _strings(each))


def hidden(text: str) -> list[str]:
    """The characters in a text that are not seen, or that turn what is seen around, each once."""
    if text.isascii() and text.isprintable():
        return []
    found: dict[str, None] = {}
    for n, each in enumerate(text):
        is_hidden = each in _FILLERS or unicodedata.category(each) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
        if each in _JOINERS or "\ufe00" <= each <= "\ufe0f" or "\U000e0100" <= each <= "\U000e01ef":
            before = text[n - 1 : n]
            is_hidden = not before or (before.isascii() and before not in "0123456789#*") or before in _JOINERS
        if is_hidden and each not in "\n\t\r":
            found[each] = None
    return list(found)


def alike(tools: Sequence[Tool]) -> Iterator[Finding]:
    """Tools that a model would mix up."""
    yield from _same_names(tools)
    by_text: defaultdict[str, list[Tool]] = defaultdict(list)
    for tool in tools:
        if tool.description.strip():
            by_text[" ".join(_plain(tool.description))].append(tool)
    for same in by_text.values():
        if len({tool.name for tool in same}) > 1:
            problem = f"{_named(same)} have the same description"
            yield _found("same-description", "warning", same[0], "", problem, "say how they differ")
    different = [same[0] for same in by_text.values()]
    for group in _near([(tool, frozenset(_plain(tool.description)) - _SMALL) for tool in different]):
        problem = f"the descriptions of {_named(group)} are nearly the same"
        yield _found(
            "alike-descriptions", "warning", group[0], "", problem, "say how they differ, and when to use which"
        )


def _same_names(tools: Sequence[Tool]) -> Iterator[Finding]:
    by_name: defaultdict[str, list[Tool]] = defaultdict(list)
    by_meaning: defaultdict[tuple[str, ...], list[Tool]] = defaultdict(list)
    for tool in tools:
        by_name[tool.name].append(tool)
    for name, same in by_name.items():
        if len(same) > 1:
            remedy = "rename one with @tool(name=...), or prefix a registry"
            yield _found("same-name", "error", same[0], "", f"{len(same)} tools are called {name!r}", remedy)
        by_meaning[tuple(sorted(_MEANS.get(part, part) for part in map(_singular, _parts(name))))].append(same[0])
    for group in by_meaning.values():
        if len(group) > 1:
            remedy = "make one of them, or name the difference"
            yield _found("alike-names", "warning", group[0], "", f"{_named(group)} mean the same", remedy)


def _near(texts: Sequence[tuple[Tool, frozenset[str]]]) -> Iterator[list[Tool]]:
    """Groups of tools of which each has nearly the words of another.

    Two texts that have so much in common have one of their rarest words in common, so only such pairs are compared.
    """
    counts: defaultdict[str, int] = defaultdict(int)
    for _, words in texts:
        for word in words:
            counts[word] += 1
    by_word: defaultdict[str, list[int]] = defaultdict(list)
    leader = list(range(len(texts)))

    def lead(n: int) -> int:
        while leader[n] != n:
            leader[n] = leader[leader[n]]
            n = leader[n]
        return n

    for n, (_, words) in enumerate(texts):
        if len(words) < 4:
            continue
        rarest = sorted(words, key=lambda word: (counts[word], word))
        rarest = rarest[: len(words) - int(_ALIKE * len(words) + 0.999999) + 1]
        for other in {other for word in rarest for other in by_word[word]}:
            theirs = texts[other][1]
            both = len(words & theirs)
            if both >= _ALIKE * (len(words) + len(theirs) - both):
                leader[lead(n)] = lead(other)
        for word in rarest:
            by_word[word].append(n)
    groups: defaultdict[int, list[Tool]] = defaultdict(list)
    for n, (tool, _) in enumerate(texts):
        groups[lead(n)].append(tool)
    yield from (group for group in groups.values() if len(group) > 1)


_SMALL = _set("a an and are as at be by for from in into is it its of on or that the this to with")


def _named(tools: Iterable[Tool]) -> str:
    names = list(dict.fromkeys(tool.name for tool in tools))
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    named = [repr(name) for name in names[:_NAMED]]
    return ", ".join(named) + more if more else f"{', '.join(named[:-1])} and {named[-1]}"


def _parts(name: str) -> list[str]:
    """`getStockPrice` and `get_stock_price` as `get`, `stock`, `price`."""
    return [part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[^\W_A-Z]+|\d+", name)]


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _plain(text: str) -> list[str]:
    return [_singular(word) for word in re.findall(r"\w+", text.lower())]


def size(tool: Tool) -> int:
    """The characters that a tool takes in a request, nearly."""
    return len(tool.name) + len(tool.description) + len(json.dumps(tool.parameters, ensure_ascii=False, default=str))
