"""The checker of exports finds each thing that it is there to find: a check that cannot fail is none."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from exports import Exports, Happened, Log, Point, Scope, Span, of_otlp
from norm import NORM, About, Facts, check
from norm_signals import _key, _shown, _values, forms

SCOPE = Scope(name="agentkit", version="1.0", schema_url=NORM["scope"]["schema_url"])
SECRET = 'sk-"1/2+3'
FACTS = Facts(
    streamed=True,
    agents={"clerk": About(structured=True, conversation="alice", requested={"gen_ai.request.seed": 7})},
    said=("otters",),
    secrets=(SECRET,),
    foreign=frozenset({"request"}),
)
ASKED = {"gen_ai.request.model": "m", "gen_ai.request.seed": 7, "gen_ai.output.type": "json"}
CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "server.address": "127.0.0.1",
    "server.port": 80,
    "gen_ai.conversation.id": "alice",
    "gen_ai.request.stream": True,
    "gen_ai.response.id": "r1",
    "gen_ai.response.model": "m-1",
    "gen_ai.response.finish_reasons": ("stop",),
    "gen_ai.response.time_to_first_chunk": 0.5,
    "gen_ai.usage.input_tokens": 10,
    "gen_ai.usage.output_tokens": 5,
    "openai.api.type": "chat_completions",
    **ASKED,
}
TOOL = {
    "gen_ai.operation.name": "execute_tool",
    "gen_ai.tool.name": "add",
    "gen_ai.tool.type": "function",
    "gen_ai.tool.call.id": "c1",
    "gen_ai.tool.description": "Adds.",
    "gen_ai.agent.name": "clerk",
}
AGENT = {
    "gen_ai.operation.name": "invoke_agent",
    "gen_ai.agent.name": "clerk",
    "gen_ai.conversation.id": "alice",
    "gen_ai.response.finish_reasons": ("stop",),
    "gen_ai.usage.input_tokens": 10,
    "gen_ai.usage.output_tokens": 5,
    **ASKED,
}
FAILED = {
    **{name: value for name, value in CHAT.items() if ".response." not in name and ".usage." not in name},
    "error.type": "agentkit.errors.ServerFailed",
}


def span(name: str, id: int, attributes: Mapping[str, Any], **given: Any) -> Span:
    """A span of agentkit's."""
    times = {"start": 1000 + 10 * id, "end": 1005 + 10 * id}
    made = {"parent_id": 2, "scope": SCOPE, "started_with": attributes, **times, **given}
    return Span(name=name, span_id=id, attributes=attributes, **made)


def good() -> Exports:
    """A run with two model calls, of which one failed, and a tool call, as the norm has it."""
    spans = (
        span("request", 1, {}, parent_id=None, start=1, end=9000, scope=Scope(name="app")),
        span("invoke_agent clerk", 2, AGENT, parent_id=1, start=1000, end=2000),
        span("chat m", 3, CHAT, kind="CLIENT"),
        span("execute_tool add", 4, TOOL),
        span("chat m", 5, FAILED, kind="CLIENT", status="ERROR", message="it is down"),
    )
    log = Log(
        name="gen_ai.client.operation.exception",
        severity=13,
        attributes={"exception.type": "agentkit.errors.ServerFailed", "exception.message": "it is down"},
        span_id=5,
        scope=SCOPE,
    )
    return Exports(spans=spans, points=points(Exports(spans=spans)), logs=(log,))


def points(exports: Exports) -> tuple[Point, ...]:
    """The metrics that belong to the spans."""
    made = []
    for name, rule in NORM["metrics"].items():
        counted: dict[Any, list[float]] = {}
        for operation in rule["per"]:
            for each in exports.of(operation):
                for value, more in _values(rule["value"], each, exports):
                    counted.setdefault(_key({**each.attributes, **more}, rule), []).append(value)
        for key, values in counted.items():
            made.append(
                Point(
                    name=name,
                    unit=rule["unit"],
                    bounds=tuple(rule["buckets"]),
                    attributes=dict(key),
                    count=len(values),
                    sum=sum(values),
                    scope=SCOPE,
                )
            )
    return tuple(made)


Change = Callable[[Exports], Exports]


def on(id: int, **given: Any) -> Change:
    """Change a span."""

    def change(exports: Exports) -> Exports:
        return replace(exports, spans=tuple(replace(s, **given) if s.span_id == id else s for s in exports.spans))

    return change


def have(id: int, *, late: bool = False, **given: Any) -> Change:
    """Give a span attributes, dots spelled as two underscores; None takes one away."""
    names = {name.replace("__", "."): value for name, value in given.items()}

    def change(exports: Exports) -> Exports:
        [found] = [each for each in exports.spans if each.span_id == id]
        attributes = {**found.attributes, **names}
        attributes = {name: value for name, value in attributes.items() if value is not GONE}
        started = found.started_with if late else attributes
        return on(id, attributes=attributes, started_with=started)(exports)

    return change


GONE = object()


def metric(of: str, **given: Any) -> Change:
    """Change a metric."""

    def change(exports: Exports) -> Exports:
        assert any(point.name == of for point in exports.points)
        made = (replace(each, **given) if each.name == of else each for each in exports.points)
        return replace(exports, points=tuple(made))

    return change


def metric_has(name: str, attribute: str, value: Any) -> Change:
    """Give a metric an attribute, or take it away."""

    def change(exports: Exports) -> Exports:
        [first, *_] = [point for point in exports.points if point.name == name]
        attributes = {key: each for key, each in {**first.attributes, attribute: value}.items() if each is not GONE}
        made = (replace(each, attributes=attributes) if each is first else each for each in exports.points)
        return replace(exports, points=tuple(made))

    return change


def log(**given: Any) -> Change:
    """Change the log record."""
    return lambda exports: replace(exports, logs=(replace(exports.logs[0], **given),))


def details(**attributes: Any) -> Change:
    """Add the event with the details of the model call that was answered."""
    names = {name.replace("__", "."): value for name, value in attributes.items()}
    made = Log(name="gen_ai.client.inference.operation.details", span_id=3, scope=SCOPE, attributes={**CHAT, **names})
    return lambda exports: replace(exports, logs=(*exports.logs, made))


ATTRIBUTES: dict[str, tuple[Change, str]] = {
    "a name that the norm does not have": (have(3, gen_ai__turn=1), "gen_ai.turn is no attribute of a chat span"),
    "a name of another span": (have(2, gen_ai__provider__name="openai"), "is no attribute of a invoke_agent span"),
    "an old name": (have(3, gen_ai__system="openai"), "is an old name of gen_ai.provider.name"),
    "a name of nobody's": (have(3, user="ada"), "user is no attribute"),
    "an int as text": (have(3, gen_ai__usage__input_tokens="10"), "gen_ai.usage.input_tokens='10' is no int"),
    "a bool as an int": (have(3, server__port=True), "server.port=True is no int"),
    "an int as a double": (have(3, gen_ai__response__time_to_first_chunk=1), "is no double"),
    "not a number": (have(3, gen_ai__response__time_to_first_chunk=float("nan")), "is no double"),
    "text as a list": (have(3, gen_ai__response__finish_reasons="stop"), "is no string[]"),
    "a list of numbers": (have(3, gen_ai__response__finish_reasons=(1,)), "is no string[]"),
    "an int as a bool": (have(3, gen_ai__request__stream=1), "is no boolean"),
    "a value that the norm does not have": (have(3, gen_ai__output__type="xml"), "is none of text, json"),
    "a false stream": (have(3, gen_ai__request__stream=False), "gen_ai.request.stream=False is none of True"),
    "None": (have(3, gen_ai__response__id=None), "gen_ai.response.id=None says nothing"),
    "an empty text": (have(3, gen_ai__response__id=""), "gen_ai.response.id='' says nothing"),
    "an empty list": (have(3, gen_ai__response__finish_reasons=()), "says nothing"),
    "unknown": (have(3, gen_ai__response__model="Unknown"), "gen_ai.response.model='Unknown' says nothing"),
    "a message as the type of an error": (have(5, error__type="it is down"), "is not of the form"),
    "an error of no type": (have(5, error__type="_OTHER"), "error.type='_OTHER' should not be used"),
    "a provider in capitals": (have(3, gen_ai__provider__name="OpenAI"), "is not of the form"),
    "no provider": (have(3, gen_ai__provider__name=GONE), "gen_ai.provider.name is missing (required"),
    "no model": (have(3, gen_ai__request__model=GONE), "gen_ai.request.model is missing (required"),
    "no port": (have(3, server__port=GONE), "server.port is missing (conditional: server.address is set)"),
    "no address": (have(3, server__address=GONE), "(warning) span 'chat m': server.address is missing"),
    "no stream": (have(3, gen_ai__request__stream=GONE), "gen_ai.request.stream is missing (conditional"),
    "no first chunk": (have(3, gen_ai__response__time_to_first_chunk=GONE), "time_to_first_chunk is missing"),
    "no form": (have(3, gen_ai__output__type=GONE), "gen_ai.output.type is missing (conditional"),
    "no conversation": (have(2, gen_ai__conversation__id=GONE), "gen_ai.conversation.id is missing"),
    "another conversation": (have(2, gen_ai__conversation__id="x1"), "gen_ai.conversation.id='x1' is there without a"),
    "no seed": (have(3, gen_ai__request__seed=GONE), "gen_ai.request.seed is missing (conditional"),
    "another seed": (have(3, gen_ai__request__seed=8), "gen_ai.request.seed=8 is there without a reason"),
    "a temperature of nobody's": (have(3, gen_ai__request__temperature=1.0), "is there without a reason"),
    "no answer's id": (have(3, gen_ai__response__id=GONE), "(warning) span 'chat m': gen_ai.response.id is missing"),
    "no reasons": (have(3, gen_ai__response__finish_reasons=GONE), "gen_ai.response.finish_reasons is missing"),
    "no tokens": (have(3, gen_ai__usage__input_tokens=GONE), "(warning) span 'chat m': gen_ai.usage.input_tokens is"),
    "no tokens of a kind": (have(3, gen_ai__usage__cache_read__input_tokens=0), "is there without a reason"),
    "no wire": (have(3, openai__api__type=GONE), "openai.api.type is missing"),
    "another wire": (have(3, openai__api__type="responses"), "openai.api.type='responses' is there without a reason"),
    "no agent of a tool": (have(4, gen_ai__agent__name=GONE), "gen_ai.agent.name is missing (conditional"),
    "no type of a tool": (have(4, gen_ai__tool__type=GONE), "gen_ai.tool.type is missing (recommended"),
    "no description of a tool": (have(4, gen_ai__tool__description=GONE), "gen_ai.tool.description is missing"),
    "no name of a tool": (have(4, gen_ai__tool__name=GONE), "gen_ai.tool.name is missing (required"),
    "late": (have(3, late=True, gen_ai__provider__name="azure.ai.openai"), "was not given when the span began"),
    "one of ours that nobody knows": (have(2, agentkit__mood="good"), "agentkit.mood is in no table"),
    "content of a tool": (have(4, gen_ai__tool__call__arguments="{}"), "content is not captured on spans"),
    "content of a chat": (have(3, gen_ai__input__messages="[]"), "content is not captured on spans"),
    "what was said": (have(4, gen_ai__tool__description="of otters"), "shows 'otters', and content is not captured"),
    "a secret": (have(2, gen_ai__agent__name=SECRET), "shows a secret"),
    "a secret in quotes": (on(5, message=json.dumps(SECRET)), "shows a secret"),
    "a secret in base64": (on(5, message=forms(SECRET)[1]), "shows a secret"),
    "a secret in a URL": (on(5, message=f"http://{forms(SECRET)[2]}@x"), "shows a secret"),
}

SPANS: dict[str, tuple[Change, str]] = {
    "unended": (lambda e: replace(e, unended=("chat m",)), "span 'chat m' has begun and not ended"),
    "another scope": (on(3, scope=replace(SCOPE, name="me")), "the scope's name is 'me'"),
    "no schema": (on(3, scope=replace(SCOPE, schema_url="")), "the scope's schema_url is ''"),
    "no version": (on(3, scope=replace(SCOPE, version="")), "the scope has no version"),
    "an operation of nobody's": (have(3, gen_ai__operation__name="turn"), "which the norm does not have"),
    "no operation": (have(3, gen_ai__operation__name=GONE), "has the operation name ''"),
    "a name with an id": (on(4, name="execute_tool add c1"), "should be named 'execute_tool add'"),
    "a name without its model": (on(3, name="chat"), "should be named 'chat m'"),
    "an agent of another name": (on(2, name="invoke_agent"), "should be named 'invoke_agent clerk'"),
    "a chat within": (on(3, kind="INTERNAL"), "is of kind INTERNAL, and should be CLIENT"),
    "a server": (on(2, kind="SERVER"), "is of kind SERVER, and should be INTERNAL"),
    "a tool in a chat": (on(4, parent_id=3), "is in 'chat m', and should be in invoke_agent or execute_tool"),
    "a chat in a tool": (on(3, parent_id=4), "is in 'execute_tool add', and should be in invoke_agent"),
    "a chat in no run": (on(3, parent_id=None), "is in no invoke_agent span"),
    "a chat in the application": (on(3, parent_id=1), "is in no invoke_agent span"),
    "a lost parent": (on(2, parent_id=77), "is in a span that was not exported"),
    "another trace": (on(3, trace_id=9), "is in a span that was not exported"),
    "the end before the beginning": (on(3, end=1), "begins at 1030 and ends at 1"),
    "longer than its parent": (on(3, end=8000), "goes on outside of the time of 'invoke_agent clerk'"),
    "success that is said": (on(3, status="OK"), "its status is OK"),
    "a failure without a type": (have(5, error__type=GONE), "error.type is missing (conditional"),
    "a type without a failure": (on(5, status="UNSET", message=""), "and its status is UNSET"),
    "words without a failure": (on(3, message="fine"), "it has not failed, and says 'fine'"),
    "too much": (have(2, gen_ai__usage__input_tokens=20), "is 20, and its own chat spans come to 10"),
    "nothing": (have(2, gen_ai__usage__output_tokens=GONE), "is 0, and its own chat spans come to 5"),
    "other reasons": (have(2, gen_ai__response__finish_reasons=("length",)), "and those of its last chat are"),
    "an event of nobody's": (
        on(3, events=(Happened(name="retry", attributes={}),)),
        "its event 'retry' is in no table",
    ),
    "an event with something": (
        on(3, events=(Happened(name="exception", attributes={"user": "ada"}),)),
        "event 'exception': user is no attribute",
    ),
    "an event with None": (
        on(3, events=(Happened(name="exception", attributes={"exception.type": None}),)),
        "exception.type=None says nothing",
    ),
}

DURATION, TOKENS, CALLS = (
    "gen_ai.client.operation.duration",
    "gen_ai.client.token.usage",
    "gen_ai.invoke_agent.tool_calls",
)
SIGNALS: dict[str, tuple[Change, str]] = {
    "another scope": (metric(DURATION, scope=replace(SCOPE, name="me")), "the scope's name is 'me'"),
    "a metric of nobody's": (metric(DURATION, name="gen_ai.turns"), "metric 'gen_ai.turns' is none of the norm"),
    "a metric of ours that nobody knows": (metric(DURATION, name="agentkit.turns"), "agentkit.turns is in no table"),
    "milliseconds": (metric(DURATION, unit="ms"), "has the unit 'ms', and should have 's'"),
    "a counter": (metric(TOKENS, instrument="sum"), "is a sum, and should be a histogram"),
    "the SDK's buckets": (metric(DURATION, bounds=(0, 5, 10)), "has the buckets (0, 5, 10)"),
    "an id": (metric_has(DURATION, "gen_ai.response.model", "r1"), "is an id"),
    "a trace": (metric_has(DURATION, "gen_ai.response.model", f"{1:032x}"), "is an id"),
    "an attribute of a span": (metric_has(DURATION, "gen_ai.response.id", "x"), "is none of its attributes"),
    "an own attribute": (metric_has(DURATION, "agentkit.run", "x"), "agentkit.run is in no table"),
    "no operation": (metric_has(DURATION, "gen_ai.operation.name", GONE), "gen_ai.operation.name is missing"),
    "no kind of token": (metric_has(TOKENS, "gen_ai.token.type", GONE), "gen_ai.token.type is missing"),
    "an error that is not told": (metric_has(DURATION, "error.type", "ValueError"), "and there are 0 such spans"),
    "None": (metric_has(DURATION, "server.address", None), "server.address=None says nothing"),
    "one too many": (metric(DURATION, count=2), "counts 2 of"),
    "none": (lambda e: replace(e, points=()), "counts 0 of"),
    "in milliseconds": (metric(DURATION, sum=5000.0), "comes to 5000.0"),
    "below zero": (metric(DURATION, sum=-1.0), "comes to -1.0"),
    "other tokens": (metric(TOKENS, sum=7), "comes to 7"),
    "other calls": (metric(CALLS, sum=2), "comes to 2"),
    "another first chunk": (metric("gen_ai.client.operation.time_to_first_chunk", sum=0.6), "comes to 0.6"),
    "chunks of nobody's": (
        lambda e: replace(
            e,
            points=(
                *e.points,
                Point(
                    name="gen_ai.client.operation.time_per_output_chunk",
                    unit="s",
                    bounds=tuple(NORM["metrics"][DURATION]["buckets"]),
                    attributes={"gen_ai.operation.name": "chat"},
                    scope=SCOPE,
                ),
            ),
        ),
        "which no streamed model call has",
    ),
    "an old event": (log(name="gen_ai.choice"), "is an old one"),
    "an event of nobody's": (log(name="gen_ai.turn"), "event 'gen_ai.turn' is none of the norm"),
    "an event of ours that nobody knows": (log(name="agentkit.turn"), "agentkit.turn is in no table"),
    "an event of another scope": (log(scope=replace(SCOPE, schema_url="x")), "the scope's schema_url is 'x'"),
    "an error, not a warning": (log(severity=17), "has the severity 17, and should have 13"),
    "in no span": (log(span_id=0), "is in the context of no chat span"),
    "of a span that did not fail": (log(span_id=3), "was sent 1 times for one chat span, and should be 0 times"),
    "no exception": (lambda e: replace(e, logs=()), "(warning) event 'gen_ai.client.operation.exception' is missing"),
    "twice": (lambda e: replace(e, logs=e.logs * 2), "was sent 2 times"),
    "another exception": (
        log(attributes={"exception.type": "ValueError", "exception.message": "it is down"}),
        "exception.type='ValueError', and the span's error.type is",
    ),
    "no words": (log(attributes={"exception.type": "agentkit.errors.ServerFailed"}), "exception.message is missing"),
    "more than that": (
        log(attributes={"exception.type": "agentkit.errors.ServerFailed", "exception.message": "x", "user": "ada"}),
        "user is none of its attributes",
    ),
    "a secret in an event": (
        log(attributes={"exception.type": "agentkit.errors.ServerFailed", "exception.message": SECRET}),
        "event 'gen_ai.client.operation.exception' shows a secret",
    ),
    "details that are not wanted": (details(), "was sent 1 times for one chat span, and should be 0 times"),
}

MESSAGES = [{"role": "user", "parts": [{"type": "text", "content": "otters"}]}]
ANSWER = [{"role": "assistant", "parts": [{"type": "tool_call", "id": "c1", "name": "add", "arguments": {"a": 1}}]}]


def captured() -> Exports:
    """The same run, with all that was said."""
    asked: dict[str, Any] = {"gen_ai__input__messages": MESSAGES}
    answered = {**asked, "gen_ai__output__messages": ANSWER}
    exports = have(3, **_as_text(answered))(good())
    exports = have(5, **_as_text(asked))(exports)
    exports = have(4, gen_ai__tool__call__arguments='{"a":1}', gen_ai__tool__call__result="otters")(exports)
    exports = details(**answered)(exports)
    failed = Log(name=exports.logs[1].name, span_id=5, scope=SCOPE, attributes=FAILED)
    asked_again = {**FAILED, "gen_ai.input.messages": MESSAGES}
    return replace(exports, logs=(*exports.logs, replace(failed, attributes=asked_again)))


def _as_text(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: json.dumps(value) for name, value in values.items()}


def message(*parts: Any, **given: Any) -> Change:
    """Say something else."""
    return have(3, gen_ai__input__messages=json.dumps([{"role": "user", "parts": list(parts), **given}]))


TEXT = {"type": "text", "content": "otters"}
CONTENT: dict[str, tuple[Change, str]] = {
    "nothing of a chat": (have(3, gen_ai__input__messages=GONE), "gen_ai.input.messages is missing, and content is"),
    "nothing of an answer": (have(3, gen_ai__output__messages=GONE), "gen_ai.output.messages is missing"),
    "nothing of a tool": (have(4, gen_ai__tool__call__arguments=GONE), "gen_ai.tool.call.arguments is missing"),
    "no result": (have(4, gen_ai__tool__call__result=GONE), "gen_ai.tool.call.result is missing"),
    "no JSON": (have(3, gen_ai__input__messages="otters"), "gen_ai.input.messages is no JSON"),
    "no text": (have(3, gen_ai__input__messages=("otters",)), "is no text, and back-ends read JSON text"),
    "no list": (have(3, gen_ai__input__messages='"otters"'), "is not of type 'array'"),
    "no parts": (have(3, gen_ai__input__messages='[{"role":"user","content":"otters"}]'), "'parts' is a required"),
    "another role": (message(TEXT, role="human"), "'human' is not one of"),
    "a part of no type": (message({"content": "otters"}), "'type' is a required property"),
    "a part of another type": (message({"type": "image", "content": "otters"}), "is not valid under any of"),
    "a part without its text": (message({"type": "text", "text": "otters"}), "is not valid under any of"),
    "blob that is no base64": (message({"type": "blob", "modality": "image", "content": "%%"}), "is not valid under"),
    "arguments as text": (
        message(TEXT, {"type": "tool_call", "id": "c", "name": "f", "arguments": "{}"}),
        "are JSON text, and should be an object",
    ),
    "arguments that are no object": (have(4, gen_ai__tool__call__arguments="[1]"), "is not of type 'object'"),
    "arguments that are no JSON": (
        have(4, gen_ai__tool__call__arguments="a=1"),
        "gen_ai.tool.call.arguments is no obj",
    ),
    "an event with JSON text": (
        lambda e: replace(e, logs=(*e.logs[:-1], _with(e.logs[-1], "gen_ai.input.messages", "[]"))),
        "gen_ai.input.messages is text, and should be structured",
    ),
    "an event of another form": (
        lambda e: replace(e, logs=(*e.logs[:-1], _with(e.logs[-1], "gen_ai.input.messages", ({"role": "x"},)))),
        "'parts' is a required property",
    ),
    "an event without what the span has": (
        lambda e: replace(e, logs=(*e.logs[:-1], _with(e.logs[-1], "gen_ai.request.model", None))),
        "gen_ai.request.model=None says nothing",
    ),
    "an event that says something else": (
        lambda e: replace(e, logs=(*e.logs[:-1], _with(e.logs[-1], "gen_ai.request.model", "other"))),
        "gen_ai.request.model='other', and the span has 'm'",
    ),
    "an event with less": (
        lambda e: replace(
            e,
            logs=(*e.logs[:-1], replace(e.logs[-1], attributes={"gen_ai.operation.name": "chat"})),
        ),
        "gen_ai.request.model is missing, and the span has it",
    ),
    "an event without content": (
        lambda e: replace(e, logs=(*e.logs[:-1], replace(e.logs[-1], attributes=FAILED))),
        "gen_ai.input.messages is missing, and content is captured on events",
    ),
    "one event too few": (lambda e: replace(e, logs=e.logs[:-1]), "is missing for a chat span (events are on"),
    "what was said is nowhere": (
        lambda e: Exports(spans=tuple(_without(s) for s in e.spans), points=e.points, logs=e.logs),
        "no spans show 'otters'",
    ),
}


def _with(record: Log, name: str, value: Any) -> Log:
    return replace(record, attributes={**record.attributes, name: value})


def _without(of: Span) -> Span:
    kept = {name: value for name, value in of.attributes.items() if "otters" not in str(value)}
    return replace(of, attributes=kept, started_with=None)


def test_a_good_export_is_good() -> None:
    """Nothing is found in what the norm describes, with content and without."""
    assert check(good(), FACTS).all == ()
    assert check(captured(), replace(FACTS, content_on_spans=True, content_on_events=True, events=True)).all == ()


def faults(**tables: Mapping[str, tuple[Change, str]]) -> list[Any]:
    """The rows of several tables."""
    return [pytest.param(*row, id=f"{name}-{what}") for name, rows in tables.items() for what, row in rows.items()]


@pytest.mark.parametrize(("change", "found"), faults(attributes=ATTRIBUTES, spans=SPANS, signals=SIGNALS))
def test_each_fault_is_found(change: Change, found: str) -> None:
    """One thing that is wrong is enough, and the sentence says what."""
    said = check(change(good()), FACTS).all
    assert any(found in each for each in said), said


@pytest.mark.parametrize(("change", "found"), faults(content=CONTENT))
def test_each_fault_of_captured_content_is_found(change: Change, found: str) -> None:
    """What back-ends could not read, and what is missing."""
    facts = replace(FACTS, content_on_spans=True, content_on_events=True, events=True)
    said = check(change(captured()), facts).all
    assert any(found in each for each in said), said


@pytest.mark.parametrize(
    ("about", "found"),
    [
        ({"described": True}, "gen_ai.agent.description is missing (conditional"),
        ({"one_model": False}, "gen_ai.request.model='m' is there without a reason"),
        ({"in_process": True}, "is of kind CLIENT, and should be INTERNAL"),
        ({"structured": False}, "gen_ai.output.type='json' is there without a reason"),
        ({"conversation": None}, "gen_ai.conversation.id='alice' is there without a reason"),
        ({"requested": {}}, "gen_ai.request.seed=7 is there without a reason"),
        ({"instructed": True}, "gen_ai.system_instructions is missing, and content is captured on spans"),
        ({"tools": True}, "gen_ai.tool.definitions is missing, and content is captured on spans"),
        ({"api": "responses"}, "openai.api.type='chat_completions' is there without a reason"),
    ],
)
def test_what_the_test_knows_counts(about: dict[str, Any], found: str) -> None:
    """The same export is wrong where something else has happened."""
    clerk = replace(FACTS.agents["clerk"], **about)
    facts = replace(FACTS, agents={"clerk": clerk}, content_on_spans=True, content_on_events=True, events=True)
    said = check(captured(), facts).all
    assert any(found in each for each in said), said
    less = replace(clerk, reports=False, ids=False, conversation="*", may_request={"gen_ai.request.seed": 7})
    assert not any("conversation" in each for each in check(good(), replace(FACTS, agents={"clerk": less})).all)


def test_a_run_that_is_not_streamed_says_nothing_of_streams() -> None:
    """Nor does an application's tool without words need a description."""
    said = check(good(), replace(FACTS, streamed=False)).all
    assert any("gen_ai.request.stream=True is there without a reason" in each for each in said)
    assert any("time_to_first_chunk=0.5 is there without a reason" in each for each in said)
    wordless = have(4, gen_ai__tool__description=GONE)(good())
    assert check(wordless, replace(FACTS, undescribed=frozenset({"add"}))).all == ()


def test_what_is_ours_and_documented_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the table that users read; empty it may not be."""
    monkeypatch.setattr("norm.documented", lambda: {"agentkit.mood": None})
    assert check(have(2, agentkit__mood="good")(good()), FACTS).all == ()
    assert any("says nothing" in each for each in check(have(2, agentkit__mood="")(good()), FACTS).all)


def test_content_that_is_on_events_only_is_on_no_span() -> None:
    """Each place has its own switch."""
    facts = replace(FACTS, content_on_events=True, events=True)
    assert any("content is not captured on spans" in each for each in check(captured(), facts).all)
    facts = replace(FACTS, content_on_spans=True, events=True)
    assert any("content is not captured on events" in each for each in check(captured(), facts).all)


def test_the_norm_holds_together() -> None:
    """Every name, level and condition that it uses is one that it explains."""
    for rules in NORM["spans"].values():
        assert rules["attributes"].keys() <= NORM["attributes"].keys()
        for rule in rules["attributes"].values():
            assert rule["level"] in NORM["levels"]
            assert rule.get("when", "always") in NORM["conditions"]
    for rule in NORM["metrics"].values():
        assert set(rule["attributes"]) <= NORM["attributes"].keys()
        assert set(rule["required"]) <= set(rule["attributes"])
        assert rule["buckets"] == sorted(rule["buckets"])
    assert not NORM["old names"].keys() & NORM["attributes"].keys()
    assert set(NORM["old names"].values()) <= NORM["attributes"].keys()


def test_the_two_ways_to_an_export_give_the_same() -> None:
    """What the SDK has in memory, and the same as OTLP."""
    encoded = pytest.importorskip("opentelemetry.exporter.otlp.proto.common.trace_encoder")
    from exports import Memory

    memory = Memory()
    with memory.tracers.get_tracer("agentkit", "1", "url").start_as_current_span("a", attributes={"x": [1, 2]}) as a:
        a.add_event("happened", {"y": True})
        a.set_attribute("z", 1.5)
    request = encoded.encode_spans(memory._ended.get_finished_spans())
    [one], [other] = memory.exports().spans, of_otlp([request]).spans
    assert replace(one, started_with=None) == other
    assert one.started_with == {"x": (1, 2)}
    assert _shown(frozenset()) == "no attributes"
