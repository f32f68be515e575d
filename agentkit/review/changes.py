"""What has become of a set of tools since it was agreed on: `diff`; and which waiting calls no longer fit it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from agentkit.context import Context
from agentkit.errors import InvalidArguments, said
from agentkit.messages import ToolCall
from agentkit.policy import Policy
from agentkit.tool import Tool

from .lockfile import Lock, lock
from .schema_changes import Kind, differences, shown

Tools: TypeAlias = "Lock | Iterable[Tool]"
"""A lock, or the tools themselves, such as a `ToolRegistry`."""
Part: TypeAlias = Literal["tool", "description", "parameters", "policy"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One thing that has changed about a tool."""

    kind: Kind
    """`breaking`: a call that fitted may not fit now, or a promise is taken back. `compatible`: each call that fitted
    fits. `prompt-only`: the same calls fit, and the model is told otherwise."""
    tool: str
    part: Part
    path: str
    """Which parameter (`filters[].name`) or which policy (`timeout`); empty for the tool as a whole."""
    words: str

    def __str__(self) -> str:
        subject = {"parameters": f"parameter {self.path!r} ", "policy": f"{self.path} "}.get(self.part, "")
        return f"{self.tool!r}: {subject if self.path else ''}{self.words}"


def diff(old: Tools, new: Tools) -> list[Change]:
    """What has changed, tool by tool. What cannot be told to be compatible is breaking."""
    before, now = _entries(old), _entries(new)
    changes: list[Change] = []
    for name in sorted(before.keys() | now.keys()):
        if name not in now:
            twin = next((n for n in now if n not in before and _is_twin(before[name], now[n])), None)
            perhaps = f", perhaps to be called {twin!r}" if twin else ""
            changes.append(_of_tool("breaking", name, f"was removed{perhaps}: calls of it are refused now"))
        elif name not in before:
            changes.append(_of_tool("compatible", name, "was added"))
        elif before[name]["hash"] != now[name]["hash"]:
            changes += _changes(name, before[name], now[name])
    return changes


@dataclass(frozen=True, kw_only=True, slots=True)
class UnfitCall:
    """A call that waits to be made, and should not be made as it is."""

    call: ToolCall
    why: str


def unfit_calls(calls: Iterable[ToolCall], tools: Mapping[str, Tool], since: Lock | None = None) -> list[UnfitCall]:
    """The calls of a paused run that no longer fit its tools: `unfit_calls(message.tool_calls, registry.by_name)`.

    Args:
        calls: Those that wait.
        tools: What there is now, by name.
        since: What there was when they were made. With it, a call of a tool whose policy has changed in a way that
            breaks a promise is unfit too: somebody should say yes to it again.
    """
    unfit = []
    for call in calls:
        tool = tools.get(call.name)
        why = [f"there is no tool {call.name!r} any more"] if tool is None else _why_not(call, tool)
        if tool is not None and since is not None and call.name in since["tools"]:
            changes = diff({**since, "tools": {call.name: since["tools"][call.name]}}, [tool.named(call.name)])
            why += [str(each) for each in changes if each.part == "policy" and each.kind == "breaking"]
        if why:
            unfit.append(UnfitCall(call=call, why="; ".join(why)))
    return unfit


def _why_not(call: ToolCall, tool: Tool) -> list[str]:
    nobody: Context[Any] = Context(deps=None, run_id="", call_id=call.id, tool=call.name)
    try:
        tool.arguments.bind(call.arguments, nobody)
    except InvalidArguments as error:
        return [said(error)]
    return []


def _entries(tools: Tools) -> Mapping[str, Any]:
    locked: Mapping[str, Any] = tools if isinstance(tools, dict) else lock(tools)  # pyright: ignore[reportAssignmentType]
    found: Mapping[str, Any] = locked["tools"]
    return found


def _is_twin(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    return all(bool(old[part] == new[part]) for part in ("parameters", "description"))


def _of_tool(kind: Kind, name: str, words: str) -> Change:
    return Change(kind=kind, tool=name, part="tool", path="", words=words)


def _changes(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    changes = []
    if old["description"] != new["description"]:
        words = (
            f"has another description, {shown(new['description'])}" if new["description"] else "has no description now"
        )
        changes.append(Change(kind="prompt-only", tool=name, part="description", path="", words=words))
    for each in differences(old["parameters"], new["parameters"]):
        words = each.what + (f": {each.so}" if each.so else "")
        changes.append(Change(kind=each.kind, tool=name, part="parameters", path=each.path, words=words))
    changes += _policy_changes(name, old["policy"], new["policy"])
    return changes or [_of_tool("prompt-only", name, "is written otherwise, and takes the same")]


def _policy_changes(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for option in sorted(old.keys() | new.keys()):
        before, now = (each.get(option, _DEFAULTS.get(option)) for each in (old, new))
        if before != now:
            kind, why = _KINDS.get(option, _unknown)(before, now)
            words = f"was {_said(before)}, is {_said(now)}: {why}"
            yield Change(kind=kind, tool=name, part="policy", path=option, words=words)


def _said(value: Any) -> str:
    if isinstance(value, dict) and value.keys() == {"function"}:
        return f"decided by {value['function']}"
    if isinstance(value, bool):
        return "on" if value else "off"
    return "not declared" if value is None else repr(value)


Verdict: TypeAlias = tuple[Kind, str]

_DEFAULTS: Mapping[str, Any] = {name: getattr(Policy(), name) for name in Policy.__slots__} | {"secret_result": False}
_ORDER = ("read", "write", "external", "destructive")


def _effects(before: Any, now: Any) -> Verdict:
    if before is None:
        return "compatible", "nothing was promised before"
    if now is None:
        return "breaking", "what a call does is promised no more"
    if before not in _ORDER or now not in _ORDER or _ORDER.index(now) > _ORDER.index(before):
        return "breaking", "a call does more than was agreed"
    return "compatible", "a call does less than was agreed"


def _approval(before: Any, now: Any) -> Verdict:
    if before is False:
        return "breaking", "a run in which nobody can be asked is refused the call now"
    if now is True:
        return "breaking", "more calls must be asked for, and a run in which nobody can be is refused them now"
    return "breaking", "calls for which somebody was asked may be made now without"


def _enabled(before: Any, now: Any) -> Verdict:
    if now is None:
        return "compatible", "every run may use it"
    return "breaking", "a run that might use it may not be allowed to now"


def _lost(why: str, otherwise: str) -> Callable[[Any, Any], Verdict]:
    """What is breaking if it is taken back."""
    return lambda before, now: ("compatible", otherwise) if now is True else ("breaking", why)


def _pace(before: Any, now: Any) -> Verdict:
    return "compatible", "the same calls are taken; how long, how often or beside which others they run is another"


def _strict(before: Any, now: Any) -> Verdict:
    return "prompt-only", "a provider that has a strict mode is shown another form of the schema"


def _unknown(before: Any, now: Any) -> Verdict:
    return "breaking", "this agentkit does not know what that means"


_KINDS: Mapping[str, Callable[[Any, Any], Verdict]] = {
    "effects": _effects,
    "approval": _approval,
    "enabled": _enabled,
    "idempotent": _lost("a call that may have taken effect cannot be made again", "it may be called twice"),
    "repair": _lost("arguments that were mended are refused now", "more arguments are understood"),
    "secret_result": _lost("its results may be shown and logged now", "its results are shown to nobody but the model"),
    "strict": _strict,
    **dict.fromkeys(
        ("timeout", "retries", "concurrency", "rate", "cache", "breaker", "sequential", "isolation"), _pace
    ),
}
"""What a change of each policy is, and why."""
