"""No secret gets out with the content of a run: not in any spelling, not at a cut, not when something fails."""

import json
import logging
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from functools import partial
from html import escape
from typing import Annotated, Any
from urllib.parse import quote, quote_plus

import pytest
from exports import on
from hypothesis import given, settings
from hypothesis import strategies as st
from openai import AsyncOpenAI
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Span

from agentkit import AssistantMessage, ImagePart, Message, Secret, ToolCall, ToolResult, UserMessage
from agentkit.messages import FilePart, HostedCall, SearchHit
from agentkit.models.base import ModelRequest, ModelResponse
from agentkit.models.chat import ChatBackend
from agentkit.registry import ToolRegistry
from agentkit.telemetry.content import Content
from agentkit.telemetry.quiet import warn
from agentkit.testing import ChatServer
from agentkit.tool import Tool

CANARY = 'canary/7+"x=Zq9-ümlaut??>>~~end'
KEY = CANARY.replace("ü", "u")
SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "base64": lambda text: b64encode(text.encode()).decode(),
    "base64 for URLs": lambda text: urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "base64 of more": lambda text: b64encode(f"user:{text}:more".encode()).decode(),
    "base64 of still more": lambda text: b64encode(f"users:{text}:more".encode()).decode(),
    "base64 of more for URLs": lambda text: urlsafe_b64encode(f"user:{text}:more".encode()).decode(),
    "base64 of still more for URLs": lambda text: urlsafe_b64encode(f"users:{text}:more".encode()).decode(),
    "in a URL": lambda text: quote(text, safe=""),
    "in a form": quote_plus,
    "in JSON": json.dumps,
    "in JSON, escaped": lambda text: json.dumps(text, ensure_ascii=False),
    "in JSON in JSON": lambda text: json.dumps(json.dumps(text)),
    "in Python": repr,
    "in HTML": escape,
    "in HTML, with quotes": partial(escape, quote=False),
}


@Tool.of
def log_in(user: str, pin: Annotated[str, Secret]) -> str:
    """Log in."""
    return user


@Tool.of
def look_up(sku: Any) -> Any:
    """Look a product up."""


REGISTRY = ToolRegistry([log_in, look_up])
LOGGED_IN = ToolCall(id="c1", name="log_in", arguments=json.dumps({"user": "ada", "pin": CANARY}))


def _span() -> Span:
    return TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("chat")


def shown(
    *messages: Message, answer: AssistantMessage | None = None, content: Content | None = None, **given: Any
) -> str:
    """All that is shown of a model call, and of its tool calls."""
    span, own = _span(), content or Content(events=True)
    request = ModelRequest(messages=messages, tools=REGISTRY, **given)
    response = answer and ModelResponse(message=answer)
    event = own.model_call(span, request, response, event=True)
    attributes = on(span)
    return "\n".join([*attributes.values(), json.dumps(event, ensure_ascii=False)])


def everywhere(text: str) -> tuple[Message, ...]:
    """A conversation that has a text wherever there can be one."""
    calls = (
        ToolCall(id=text, name=text, arguments="{}"),
        ToolCall(id="c2", name="look_up", arguments=json.dumps({"sku": {text: [text]}})),
        ToolCall(id="c3", name="look_up", arguments=f"broken {text}"),
    )
    hits = (SearchHit(file_id=text, filename=text, score=1.0, text=text),)
    hosted = HostedCall(id=text, tool=text, input=text, output=text, files=(text,), hits=hits)
    return (
        UserMessage(content=text),
        UserMessage(content=(ImagePart(url=f"https://shop.test/{text}"), FilePart(id=text))),
        UserMessage(content=(ImagePart(url=f"data:{text};base64,AAAA"),)),
        AssistantMessage(text=text, reasoning=text, refusal=text, files=(text,), hosted_calls=(hosted,)),
        AssistantMessage(tool_calls=calls),
        ToolResult(call_id=text, name=text, content=text),
        ToolResult(call_id="c2", name="look_up", content=json.dumps([{text: text}])),
    )


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_secret_argument_is_shown_nowhere_in_its_conversation(spelling: str) -> None:
    """It is hidden where it was given, and wherever else it turns up, before or after, in whichever spelling."""
    told = f"it is {SPELLINGS[spelling](CANARY)}, I think"
    said = everywhere(told)
    found = shown(
        *said, AssistantMessage(tool_calls=(LOGGED_IN,)), *said, answer=AssistantMessage(text=told), instructions=told
    )
    assert '"arguments":{"user":"ada","pin":"***"}' in found
    assert_hidden(found)


def assert_hidden(found: str, secret: str = CANARY) -> None:
    """In none of its spellings."""
    core = secret.encode()
    for name, spell in SPELLINGS.items():
        if not name.startswith("base64 of"):
            bare = spell(secret).strip("\"'\\").rstrip("=")
            assert bare not in found, name
    for before in range(3):
        encoded = b64encode(b"\0" * before + core).decode().rstrip("=")[2 * (before > 0) + (before > 1) : -1]
        assert encoded not in found
        assert encoded.translate(str.maketrans("+/", "-_")) not in found


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_secret_result_is_shown_nowhere(spelling: str) -> None:
    """Neither it, nor its pictures, nor what repeats it."""
    result = ToolResult(call_id="c", name="look_up", content=CANARY, secret=True, parts=(ImagePart(url=CANARY),))
    found = shown(result, *everywhere(SPELLINGS[spelling](CANARY)))
    assert '"response":"***"}]' in found
    assert_hidden(found)


def test_the_span_of_a_call_hides_what_its_tool_declares_secret() -> None:
    """The argument, and a result that repeats it; the result too, if that is secret."""
    span = _span()
    Content().tool_call(span, LOGGED_IN, log_in, ToolResult(call_id="c1", name="log_in", content=f"pin {CANARY}"))
    assert dict(on(span)) == {
        "gen_ai.tool.call.arguments": '{"user":"ada","pin":"***"}',
        "gen_ai.tool.call.result": '"pin ***"',
    }
    result = ToolResult(call_id="c", name="look_up", content=CANARY, secret=True, parts=(ImagePart(url=CANARY),))
    Content().tool_call(span, LOGGED_IN, look_up, result)
    assert on(span)["gen_ai.tool.call.result"] == '"***"'


def test_the_span_of_a_call_hides_what_was_secret_in_the_conversation_before() -> None:
    """Another call's argument, of the same answer too; the run's span hides what is secret in any of its requests."""
    asked = ModelRequest(messages=(UserMessage(content="log in"),), tools=REGISTRY)
    answer = ModelResponse(message=AssistantMessage(tool_calls=(LOGGED_IN,)))
    repeats = ToolResult(call_id="c2", name="look_up", content=f"the pin is {CANARY}")
    call, span = ToolCall(id="c2", name="look_up", arguments='{"sku": 1}'), _span()
    Content().tool_call(span, call, look_up, repeats, asked=(asked, answer))
    assert on(span)["gen_ai.tool.call.result"] == '"the pin is ***"'
    last = ModelRequest(messages=(*asked.messages, answer.message, repeats), tools=REGISTRY)
    span = _span()
    Content().run(span, asked, ModelResponse(message=AssistantMessage(text=f"It is {CANARY}")), last=last)
    [message] = json.loads(on(span)["gen_ai.output.messages"])
    assert message["parts"] == [{"type": "text", "content": "It is ***"}]


def test_an_agent_that_takes_over_hides_what_was_secret_to_the_one_before() -> None:
    """It does not have that one's tools, and has the conversation."""
    shown(AssistantMessage(tool_calls=(LOGGED_IN,)))
    span = _span()
    said = (AssistantMessage(tool_calls=(LOGGED_IN,)), UserMessage(content=f"My pin is {CANARY}."))
    Content().model_call(span, ModelRequest(messages=said))
    assert_hidden(on(span)["gen_ai.input.messages"])


def test_a_short_secret_is_hidden_where_it_was_given() -> None:
    """Elsewhere it could be anything: a year, a price."""
    call = ToolCall(id="c", name="log_in", arguments='{"user": "ada", "pin": "1837"}')
    found = shown(AssistantMessage(tool_calls=(call,), text="since 1837"))
    assert '"arguments":{"user":"ada","pin":"***"}' in found
    assert "since 1837" in found


def test_of_two_secrets_that_begin_alike_neither_is_shown() -> None:
    """Nor what the longer one has more."""
    calls = [
        ToolCall(id="c", name="log_in", arguments=json.dumps({"user": "ada", "pin": pin}))
        for pin in ("canary-1", "canary-1-and-more")
    ]
    found = shown(AssistantMessage(tool_calls=tuple(calls), text="canary-1-and-more, canary-1"))
    assert "and-more" not in found
    assert '"content":"***, ***"' in found


def test_what_is_secret_in_the_names_of_an_object_is_hidden_and_no_value_is_lost() -> None:
    """Names that become the same are told apart."""
    keys = {"AKIAIOSFODNN7EXAMPLE": 1, "AKIAIOSFODNN8EXAMPLE": 2, "AKIAIOSFODNN9EXAMPLE": 3}
    result = ToolResult(call_id="c", name="look_up", content=json.dumps(keys))
    assert '"response":{"***":1,"*** 2":2,"*** 3":3}' in shown(result)


@pytest.mark.parametrize("arguments", [f'{{"pin": "{CANARY[:4]}', '{"user": "hunter2"', "[1]", "hunter2"])
def test_arguments_that_cannot_be_read_are_hidden_where_some_are_secret(arguments: str) -> None:
    """Nobody can tell which."""
    call = ToolCall(id="c", name="log_in", arguments=arguments)
    found = shown(AssistantMessage(tool_calls=(call,)))
    assert '"name":"log_in","arguments":"***"}' in found


def test_arguments_of_a_tool_that_is_not_there_are_hidden() -> None:
    """It may have been there in an earlier run of the conversation, and have had secret ones."""
    found = shown(AssistantMessage(tool_calls=(ToolCall(id="c", name="log_out", arguments='{"pin":"hunter2"}'),)))
    assert "hunter2" not in found
    span = _span()
    Content().tool_call(span, ToolCall(id="c", name="log_out", arguments='{"pin":"hunter2"}'), None)
    assert on(span)["gen_ai.tool.call.arguments"] == '"***"'


@pytest.mark.anyio
async def test_the_key_of_a_models_server_is_shown_nowhere() -> None:
    """Whoever has put it into a prompt, in whichever spelling; a stand-in for a key stays a word like others."""
    for key in (KEY, "ollama"):
        async with ChatServer(["hello"]) as server, AsyncOpenAI(base_url=server.base_url, api_key=key) as client:
            request = ModelRequest(messages=(UserMessage(content="hi"),))
            await ChatBackend("m", client=client).generate(request)
            for spell in SPELLINGS.values() if key == KEY else ():
                assert_hidden(shown(*everywhere(f"the key is {spell(KEY)}!")), KEY)
            assert "an ollama is no llama" in shown(UserMessage(content="an ollama is no llama"))


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "DB_PASSWORD", "GITHUB_TOKEN", "client_secret"])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_what_the_environment_calls_a_secret_is_shown_nowhere(
    name: str, spelling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tool that lists the environment, for example."""
    monkeypatch.setenv(name, CANARY)
    assert_hidden(shown(*everywhere(f"{name}: {SPELLINGS[spelling](CANARY)}")))


def test_other_variables_of_the_environment_hide_no_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table's key is a word like others, and so is a short password."""
    monkeypatch.setenv("SORT_KEY", "customer_id")
    monkeypatch.setenv("DB_PASSWORD", "otters")
    assert "by customer_id, of otters" in shown(UserMessage(content="by customer_id, of otters"))


SHAPES = {
    "OpenAI": "sk-proj-4fKq9ZzXcVbNmLkJhGfD",
    "AWS": "AKIAIOSFODNN7EXAMPLE",
    "GitHub": "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "GitHub, fine-grained": "github_pat_11ABCDEFG0abcdefghijkl",
    "GitLab": "glpat-abcDEF123456ghiJKL78",
    "Slack": "xoxb-123456789012-abcdef",
    "Google": "AIzaSyA1234567890abcdefghijklmnopqrstuv",
    "Stripe": "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
    "SendGrid": "SG.abcdefghijklmnopqrstuv.ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "Google, for an hour": "ya29.a0AfH6SMBx_xxxxxxxxxxxxxxx",
    "DigitalOcean": "dop_v1_0123456789abcdef0123456789abcdef",
    "npm": "npm_abcdefghijklmnopqrstuvwxyz",
    "Hugging Face": "hf_abcdefghijklmnopqrstuvwxyz",
    "JWT": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
}


@pytest.mark.parametrize("shape", SHAPES)
def test_what_looks_like_a_key_is_shown_nowhere(shape: str) -> None:
    """Whosever it is."""
    key = SHAPES[shape]
    found = shown(*everywhere(f"use {key}, or ({key})."))
    assert key not in found
    assert "use ***, or (***)." in found


LABELLED = {
    "Authorization: Bearer abcdef12345": "abcdef12345",
    "authorization: basic dXNlcjpwYXNz": "dXNlcjpwYXNz",
    "postgresql://ada:hunter2@db/shop": "hunter2",
    "https://shop.test/?q=1&access_token=hunter2&x=1": "hunter2",
    "https://shelf.test/a.png?X-Amz-Signature=hunter2": "hunter2",
    "https://shelf.test/a.png?sv=1&sig=hunter2&x": "hunter2",
    "https://maps.test/?q=1&key=hunter2": "hunter2",
    "curl -H 'Authorization: Token hunter2'": "hunter2",
    "Set-Cookie: theme=dark; session=hunter2; Path=/": "hunter2",
    '{"Cookie": "theme=dark; session=hunter2"}': "hunter2",
    "Ocp-Apim-Subscription-Key: hunter2": "hunter2",
    "password=hunter2": "hunter2",
    "DB_PASSWORD: 'correct horse hunter2'": "hunter2",
    '{"apiKey": "correct hunter2"}': "hunter2",
    '{\\"client_secret\\": \\"correct hunter2\\"}': "hunter2",
    "password2=hunter2": "hunter2",
    "secret-value: hunter2": "hunter2",
    "aws_secret_access_key = hunter2": "hunter2",
    '"secret": "never ends hunter2': "hunter2",
    "-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----": "hunter2",
    "-----BEGIN PRIVATE KEY-----\nhunter2": "hunter2",
    "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nhunter2\n-----END PGP PRIVATE KEY BLOCK-----": "hunter2",
    "Server=db;Uid=ada;Pwd=hunter2;": "hunter2",
    "<db:password>hunter2</db:password>": "hunter2",
    "mysql --user ada --password hunter2 shop": "hunter2",
    "post to https://hooks.slack.com/services/T000/B000/hunter2": "hunter2",
}


@pytest.mark.parametrize("text", LABELLED)
def test_what_is_called_a_secret_is_shown_nowhere(text: str) -> None:
    """In words, in a URL, in a file, in JSON."""
    found = shown(*everywhere(text))
    assert LABELLED[text] not in found
    assert "***" in found


def test_what_has_the_name_of_a_secret_is_hidden_in_arguments_and_results() -> None:
    """Even if a tool does not declare it; what only sounds like one is shown."""
    given = {
        "api_key": "hunter2",
        "dbPassword": {"a": ["hunter2"]},
        "tokens": 12,
        "author": "Ada",
        "keyboard": "qwertz",
        "use_token": True,
    }
    call = ToolCall(id="c", name="look_up", arguments=json.dumps({"sku": given}))
    result = ToolResult(call_id="c", name="look_up", content=json.dumps(given))
    found = shown(AssistantMessage(tool_calls=(call,)), result)
    wanted = {**given, "api_key": "***", "dbPassword": "***"}
    assert found.count(json.dumps(wanted, separators=(",", ":"))) == 2
    assert "hunter2" not in found


def test_a_tool_may_have_a_parameter_called_password() -> None:
    """Its schema is no secret."""
    tool = Tool.elsewhere(
        "log_on", "Log on.", {"type": "object", "properties": {"password": {"type": "string"}, "key": {"enum": ["x"]}}}
    )
    span = _span()
    Content().model_call(span, ModelRequest(messages=(), tools=ToolRegistry([tool])))
    [told] = json.loads(on(span)["gen_ai.tool.definitions"])
    assert told["parameters"]["properties"]["password"] == {"type": "string"}


def test_ordinary_words_stay_as_they_are() -> None:
    """Nobody wants to read a trace full of stars."""
    text = (
        "Ask the author of the task-list for the skeleton key; risk-averse people keep 12 tokens, bearers too. "
        "A cookie: sweet, and small. See https://shop.test/a?page=2&keyword=tea&sort=key and mail ada@shop.test: "
        "basic things, a secret garden, passwords. max_tokens=100, token_count: 7, secret_name=otter, tokens: 12."
    )
    assert text in shown(UserMessage(content=text))


@settings(max_examples=200, deadline=None)
@given(
    limit=st.sampled_from([16, 40, 100, 5000]),
    into=st.integers(-2, 40),
    rest=st.integers(0, 100) | st.integers(20_000, 40_000),
    at_the_end=st.booleans(),
    key=st.sampled_from([CANARY, *SHAPES.values()]),
)
def test_a_cut_shows_no_part_of_a_secret(limit: int, into: int, rest: int, at_the_end: bool, key: str) -> None:
    """Wherever the cut is: secrets are struck out first."""
    near, far = "." * max(0, limit // 2 - into), "." * rest
    text = f"{far} {key} {near}" if at_the_end else f"{near} {key} {far}"
    found = shown(
        AssistantMessage(tool_calls=(LOGGED_IN,)),
        UserMessage(content=text),
        content=Content(events=True, text_chars=limit),
    )
    for begin in range(0, len(key) - 6, 3):
        assert key[begin : begin + 6] not in found


def test_a_function_of_the_applications_own_strikes_out_more() -> None:
    """From each text, before that is cut."""
    content = Content(events=True, redact=lambda text: text.replace("Lovelace", "L."), text_chars=100)
    found = shown(*everywhere("Ada Lovelace " * 100), instructions="Lovelace", content=content)
    assert "Lovelace" not in found
    assert "Ada L." in found


def test_it_sees_no_secrets_and_its_words_are_json() -> None:
    """Whatever it gives."""
    seen: list[str] = []

    def own(text: str) -> str:
        seen.append(text)
        return "half \ud83d, \x00"

    shown(UserMessage(content=f"key {SHAPES['AWS']}"), content=Content(events=True, redact=own))
    assert "key ***" in seen
    assert not any(SHAPES["AWS"] in text for text in seen)


class OddError(Exception):
    """With a secret in its words."""


def _fails(text: str) -> str:
    raise OddError(f"cannot read {text}")


@pytest.mark.parametrize("own", [_fails, lambda text: None, lambda text: 1 / 0], ids=["raises", "None", "ZeroDivision"])
def test_if_it_fails_nothing_is_shown_and_that_is_logged_once(
    own: Callable[[str], str], caplog: pytest.LogCaptureFixture
) -> None:
    """The run goes on, and the log does not repeat what was said either."""
    warn.cache_clear()
    content, span = Content(events=True, redact=own), _span()
    request = ModelRequest(messages=(UserMessage(content="otters"),), instructions="walrus", tools=REGISTRY)
    with caplog.at_level(logging.DEBUG):
        for _ in range(3):
            assert content.model_call(span, request, event=True) == {}
            content.run(span, request)
            content.tool_call(span, LOGGED_IN, log_in, ToolResult(call_id="c", name="log_in", content="otters"))
    assert not on(span)
    [said] = caplog.messages
    assert "content is left out" in said
    assert "otters" not in caplog.text


def test_a_secret_that_is_very_long_is_shown_nowhere() -> None:
    """Not even a part of it, where the text around it is longer still."""
    secret = "".join(f"line {number}\n" for number in range(5000))
    messages = (
        ToolResult(call_id="c", name="look_up", content=secret, secret=True),
        AssistantMessage(text=f"{secret}{'.' * 200_000}{secret}"),
        ToolResult(call_id="c", name="look_up", content=json.dumps(secret) + "." * 200_000),
    )
    assert "line" not in shown(*messages)


@pytest.mark.parametrize(
    "piece",
    [
        "eyJ-",
        "://a",
        "a",
        "token=\\'",
        'password: "',
        "-----BEGIN ",
        "data:a/b;a",
        "bearer  ",
        "secret-",
        " ",
        "<a",
        "--a",
    ],
)
def test_no_text_takes_for_ever_to_be_looked_through(piece: str) -> None:
    """Hundreds of pages of what begins like a secret and never is one."""
    text = "private key :// token base64, bearer eyJ sk- token> pwd= " + piece * (400_000 // len(piece))
    shown(UserMessage(content=text), content=Content(text_chars=1_000_000, total_bytes=10_000_000))
