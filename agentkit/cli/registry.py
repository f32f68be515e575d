"""`agentkit tools export|lint|lock|diff`: a set of tools as data, what is wrong with it, and what has become of it."""

import difflib
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import groupby

from agentkit import ConfigError
from agentkit.loader import available_tools
from agentkit.review import CODES, LOCK_FILE, Change, Finding, Lock, diff, lint, load_lock, lock, save_lock
from agentkit.review.schema_changes import Kind

from .failures import FAILED, OK, told
from .sources import Found, load, registry_of
from .text import count, readable

_KINDS: Sequence[Kind] = ("breaking", "prompt-only", "compatible")
"""Of changes, the worst first."""


def export_tools(sources: Sequence[str], dialect: str) -> int:
    """Print tools as a provider's API takes them, as JSON."""
    print(json.dumps(registry_of(sources).export(dialect), indent=2))
    return OK


def lint_tools(sources: Sequence[str], *, as_json: bool, strict: bool, ignored: Sequence[str], debug: bool) -> int:
    """Print what is wrong with tools; a module that cannot be loaded does not hide the others."""
    unwanted = _codes(ignored)
    code, found = OK, list[Found]()
    for source in sources or available_tools():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of bare parameters: that is found here
                found += load(source)
        except ConfigError as error:
            code = told(error, debug=debug)
    found = list({id(each.tool): each for each in found}.values())
    findings = [each for each in lint([one.tool for one in found]) if each.code not in unwanted]
    if as_json:
        print(json.dumps([asdict(each) for each in findings], indent=2))
    else:
        _show(findings, {each.tool.name: each.source for each in found}, len(found))
    failing = {"error", "warning"} if strict else {"error"}
    return code or (FAILED if any(each.severity in failing for each in findings) else OK)


def _codes(given: Sequence[str]) -> set[str]:
    codes = {code.strip() for several in given for code in several.split(",") if code.strip()}
    for code in sorted(codes - CODES.keys()):
        near = difflib.get_close_matches(code, CODES, n=1)
        raise ConfigError(
            f"there is no code {code!r} to ignore; " + (f"did you mean {near[0]!r}?" if near else ", ".join(CODES))
        )
    return codes


def _show(findings: Sequence[Finding], sources: Mapping[str, str], tools: int) -> None:
    for name, group in groupby(findings, lambda each: each.tool):
        print(readable(f"{name} ({sources[name]})" if name else "all tools"))
        for each in group:
            print(readable(f"  {each}"))
    severities = [each.severity for each in findings]
    counted = [count(severities.count(severity), severity) for severity in ("error", "warning", "hint")]
    print(f"{', '.join(counted)} in {count(tools, 'tool')}")


def lock_tools(sources: Sequence[str], file: str, *, check: bool) -> int:
    """Write the lock file of tools, or say whether it is what it would be."""
    if not file.endswith(".json"):
        raise ConfigError(f"the lock file {file!r} must end in .json, so that `diff` knows it for one")
    tools = registry_of(sources)
    now = lock(tools)
    if not check:
        save_lock(now, file)
        print(f"{file}: {count(len(tools), 'tool')}")
        return OK
    before = load_lock(file)
    if before == now:
        print(f"{file} is up to date: {count(len(tools), 'tool')}")
        return OK
    _list(diff(before, now))
    print(f"{file} is not up to date; review the changes and run `agentkit tools lock`")
    return FAILED


def diff_tools(old: str, new: str | None, *, fail_on: Kind, as_json: bool) -> int:
    """Print what has become of tools: of the second since the first, or of the first since the lock file."""
    before, after = (LOCK_FILE, old) if new is None else (old, new)
    changes = diff(_locked(before), _locked(after))
    if as_json:
        print(json.dumps([asdict(each) for each in changes], indent=2))
    else:
        _list(changes)
    failing = _KINDS[: _KINDS.index(fail_on) + 1]
    return FAILED if any(each.kind in failing for each in changes) else OK


def _locked(place: str) -> Lock:
    """What a lock file says, or what would be said now of sources with commas between them."""
    if place.endswith(".json"):
        return load_lock(place)
    return lock(registry_of([part.strip() for part in place.split(",")]))


def _list(changes: Sequence[Change]) -> None:
    for each in changes:
        print(readable(f"{each.kind:<11} {each}"))
    kinds = [each.kind for each in changes]
    print(", ".join(f"{kinds.count(kind)} {kind}" for kind in _KINDS) if changes else "no changes")
