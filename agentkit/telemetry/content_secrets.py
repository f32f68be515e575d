"""What is struck out of content before anybody sees it: keys, passwords, what tools declare secret, bytes in texts."""

import json
import os
import re
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from html import escape
from typing import Any, TypeAlias

from agentkit.errors import InvalidArguments
from agentkit.messages import AssistantMessage, Message, ToolCall, ToolResult, clean
from agentkit.models.secrets import forms, keys
from agentkit.registry import ToolRegistry
from agentkit.tool import Tool

Redact: TypeAlias = Callable[[str], str]

HIDDEN = "***"
MARGIN = 4096
"""What is looked at beyond a cut, and not shown: as long as a secret in a long text may be."""
_SHORTEST = 6
"""Characters from which on a secret value is struck out wherever else it appears; shorter ones would be everywhere."""

_SHAPES: Sequence[tuple[tuple[str, ...], re.Pattern[str], str]] = tuple(
    (tuple(hints), re.compile(pattern), shown)
    for hints, pattern, shown in (
        (
            ["private key"],
            r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----[^-]*+(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY"
            r"(?: BLOCK)?-----)?"
            r"|(?<![A-Za-z0-9+/=\s])[A-Za-z0-9+/=\s]{16,}+-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----",
            HIDDEN,
        ),
        (["sk-", "rk-", "pk-", "sk_", "rk_"], r"\b[srp]k[-_][A-Za-z0-9_-]{16,}+", HIDDEN),
        (["akia", "asia"], r"\bA[KS]IA[A-Z0-9]{16}\b", HIDDEN),
        (["ghp_", "gho_", "ghu_", "ghs_", "ghr_"], r"\bgh[pousr]_[A-Za-z0-9]{20,}+", HIDDEN),
        (["_pat_", "pat-", "whsec_", "npm_"], r"\b(?:github_pat_|glpat-|whsec_|npm_)[A-Za-z0-9_-]{16,}+", HIDDEN),
        (["xox"], r"\bxox[a-z]-[A-Za-z0-9-]{10,}+", HIDDEN),
        (["aiza"], r"\bAIza[A-Za-z0-9_-]{30,}+", HIDDEN),
        (["hf_", "gsk_", "xai-", "pypi-"], r"\b(?:hf_|gsk_|xai-|pypi-)[A-Za-z0-9_-]{20,}+", HIDDEN),
        (["eyj"], r"(?<![\w-])eyJ[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]*+", HIDDEN),
        (["bearer", "basic"], r"(?i)\b(bearer|basic)(\s{1,4}+)[\w.~+/=-]{8,}+", rf"\1\2{HIDDEN}"),
        (["sg.", "dop_v1_"], r"\b(?:SG\.[A-Za-z0-9_-]{16,}+\.|dop_v1_)[A-Za-z0-9_-]{16,}+", HIDDEN),
        (
            ["authorization"],
            r"(?i)(authorization\\{0,3}[\"']?\s{0,4}[:=]\s{0,4}\\{0,3}[\"']?)(?:[\w-]{1,20}\s{1,4})?[^\s\"'\\,;&<>]++",
            rf"\1{HIDDEN}",
        ),
        (
            ["cookie"],
            r"(?i)(cookie\\{0,3}[\"']?\s{0,4}[:=]\s{0,4}\\{0,3}[\"']?)[\w.%-]{1,80}+=[^\r\n\"'\\]*+",
            rf"\1{HIDDEN}",
        ),
        (
            ["auth=", "key=", "token=", "secret=", "password=", "signature=", "sig="],
            r"(?i)([?&][\w.-]{0,40}?(?:auth|key|token|secret|password|signature|sig)=)[^&#\s'\"]++",
            rf"\1{HIDDEN}",
        ),
        (["ya29."], r"\bya29\.[A-Za-z0-9_-]{16,}+", HIDDEN),
        (["hooks.slack.com/"], r"(hooks\.slack\.com/[a-z]{1,20}/)[\w/]++", rf"\1{HIDDEN}"),
        (["pwd="], r"(?i)((?:^|;)\s{0,4}pwd=)[^;\s\"']++", rf"\1{HIDDEN}"),
        (
            ["password>", "passwd>", "passphrase>", "secret>", "token>", "key>"],
            r"(?i)(<[\w:.-]{0,40}?(?:password|passwd|passphrase|secret|token|(?:api|access|private|secret)[-_]?key)>)[^<]++",
            rf"\1{HIDDEN}",
        ),
        (
            ["password ", "passwd ", "passphrase ", "secret ", "token ", "api-key "],
            r"(?i)(--[\w-]{0,40}?(?:password|passwd|passphrase|secret|token|api-key) {1,4})[^\s\"'-][^\s\"']*+",
            rf"\1{HIDDEN}",
        ),
        (["://"], r"(://)[^/\s@'\"]{1,2000}@", rf"\1{HIDDEN}@"),
        (
            ["password", "passwd", "passphrase", "secret", "key", "token", "credential", "authorization"],
            r"(?i)((?:passw(?:or)?d|passphrase|secret|(?:api|access|private|secret|account|subscription)[-_ ]?key"
            r"|credentials?|authorization|token)(?:[_-]?(?:value|key|hash|\d{1,3}))?\\{0,3}[\"']?\s{0,4}[:=]\s{0,4})"
            r"(?:\"(?:[^\"\\]|\\.)*+(?:\"|\Z)|\\\"(?:[^\"\\]|\\[^\"])*+(?:\\\"|\Z)|'[^'\n]*+(?:'|\Z)"
            r"|[^\s\"'\\,;&<>(){}\[\]]++)",
            rf"\1{HIDDEN}",
        ),
    )
)
"""What has to be in a text, in lower case, before a pattern is tried on it: most texts have none of it."""
_HINTS = tuple(dict.fromkeys(hint for hints, _, _ in _SHAPES for hint in hints))
_SHORTEST_KEY = 8
"""The same for keys: servers that need none get one like `none` or `ollama`."""
_SHORTEST_IN_BASE64 = 8
_WORD = 40
"""Characters of what is looked through once in a span, and not each time that it is said: names, above all."""
_URL_SAFE = str.maketrans("+/", "-_")
_PRIVATE_NAMES = (
    *("password", "passwd", "passphrase", "secret", "token", "apikey", "accesskey", "privatekey", "secretkey"),
    *("authorization", "credential", "credentials", "cookie"),
)
_PRIVATE_VARIABLE = re.compile(
    r"(?i)(?:^|_)(?:(?:api|access|secret|private|signing|encryption|account|subscription)_?key"
    r"|token|secret|password|passwd|credentials)$"
)
_DATA_URL = re.compile(r"(?i)\bdata:([\w.+-]{1,60}/[\w.+-]{1,80}+)?(?:;[\w.+=-]{1,80}){0,8}?;base64,([\w+/=%-]*+)")


_MOST_TOOLS = 1000
_secretive: OrderedDict[str, Tool] = OrderedDict()
"""Tools with secret arguments that were seen, by name."""


class Redactor:
    """Strikes secrets out of the texts of one span."""

    def __init__(self, own: Redact | None = None, secrets: Iterable[str] = ()) -> None:
        """Begin.

        Args:
            own: What the application strikes out besides.
            secrets: What is known to be secret here.
        """
        self._own = own
        spelled = {form for secret in {*secrets, *_of_clients(), *_of_environment()} for form in _spelled(secret)}
        self._spelled = sorted(spelled, key=len, reverse=True)
        self._long = [form for form in self._spelled if len(form) > MARGIN]
        self._words: dict[str, str] = {}

    def long(self, text: str) -> str:
        """A text without the secrets that a cut at `MARGIN` could halve."""
        for secret in self._long:
            text = text.replace(secret, HIDDEN)
        return text

    def __call__(self, text: str) -> str:
        """A text without secrets, which JSON takes.

        Raises:
            TypeError: the application's own function does not give a text.
        """
        if (known := self._words.get(text)) is not None:
            return known
        told = text
        for secret in self._spelled:
            told = told.replace(secret, HIDDEN)
        told = _shapeless(told)
        if self._own is not None:
            told = self._own(told)
            if not isinstance(told, str):
                raise TypeError(f"redact= gave a {type(told).__name__}, and should give a str")
        told = clean(told)
        if len(text) <= _WORD:
            self._words[text] = told
        return told


def is_private(name: str) -> bool:
    """Whether a name says that what it stands for is secret: `api_key`, `dbPassword`."""
    return re.sub(r"[\W_]+", "", name).lower().endswith(_PRIVATE_NAMES)


def without_bytes(text: str) -> str:
    """A text in which files that stand in it as `data:...;base64,...` are only named."""
    if "base64," not in text:
        return text
    return _DATA_URL.sub(lambda found: f"data:{found[1] or ''};base64,… {size(found[2])} bytes omitted …", text)


def size(encoded: str) -> int:
    """How many bytes a base64 text stands for."""
    return len(encoded.rstrip("=")) * 3 // 4


def secrets_in(messages: Iterable[Message], tools: ToolRegistry) -> Iterator[str]:
    """The values of a conversation that tools declare secret: arguments, and results.

    Args:
        messages: The conversation, also what was said with tools of another agent that handed over.
        tools: Those that the agent has now.
    """
    for tool in tools:
        if tool.arguments.secrets:
            _secretive[tool.name] = tool
    while len(_secretive) > _MOST_TOOLS:
        _secretive.popitem(last=False)
    for message in messages:
        match message:
            case AssistantMessage(tool_calls=calls):
                for call in calls:
                    yield from secrets_of(call, tools.by_name.get(call.name) or _secretive.get(call.name))
            case ToolResult(secret=True, content=content, full=full):
                yield from _long((content, full))


def secrets_of(call: ToolCall, tool: Tool | None) -> Iterator[str]:
    """The values of a call's arguments that are declared secret."""
    if tool is not None and tool.arguments.secrets:
        try:
            given = tool.arguments.read(call.arguments)
        except InvalidArguments:
            return
        yield from _long(_leaves([given.get(name) for name in tool.arguments.secrets]))


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _leaves(each)
    elif value is not None:
        yield str(value)


def _long(texts: Iterable[str | None]) -> Iterator[str]:
    return (text for text in texts if text is not None and len(text) >= _SHORTEST)


def _of_clients() -> Iterator[str]:
    return (key for key in keys() if len(key) >= _SHORTEST_KEY)


def _of_environment() -> Iterator[str]:
    found = (value for name, value in os.environ.items() if _PRIVATE_VARIABLE.search(name))
    return (value for value in found if len(value) >= _SHORTEST_KEY)


@lru_cache(maxsize=64)
def _spelled(secret: str) -> frozenset[str]:
    """A secret as it is, and as it stands in a URL, in HTML, in JSON, JSON in JSON, and base64 of more than itself."""
    if len(secret) > MARGIN:
        return frozenset({secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]})
    found = set(forms(secret))
    found |= {json.dumps(form)[1:-1] for form in found} | {repr(secret)[1:-1]}
    found |= {escape(secret), escape(secret, quote=False)}
    if len(secret) >= _SHORTEST_IN_BASE64:
        for before in range(3):
            encoded = b64encode(b"\0" * before + secret.encode("utf-8", "replace")).decode().rstrip("=")
            inside = encoded[-(-before * 4 // 3) :]
            found |= {inside[:-1], inside[:-1].translate(_URL_SAFE)}
    return frozenset(found)


def _shapeless(text: str) -> str:
    lower = text.lower()
    if any(map(lower.__contains__, _HINTS)):
        for hints, pattern, shown in _SHAPES:
            if any(map(lower.__contains__, hints)):
                text = pattern.sub(shown, text)
    return text
