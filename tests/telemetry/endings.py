"""The ways in which a run can end, as a table: what happens, which spans fail with what, and what is known of it."""

from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Annotated, Any

import anyio
from norm import About, Facts
from openai import AsyncOpenAI, DefaultAsyncHttpxClient

from agentkit import (
    Agent,
    AssistantMessage,
    Context,
    ImagePart,
    Limits,
    MemoryStore,
    Message,
    ModelSettings,
    Secret,
    Session,
    Telemetry,
    ToolFailed,
    UserMessage,
    tool,
)
from agentkit.errors import AgentError
from agentkit.events import ToolStarted
from agentkit.guardrails import Guardrails
from agentkit.models.assistants import AssistantsBackend
from agentkit.models.base import ModelBackend, ModelInfo, ModelRequest, ModelResponse, OnDelta, TextDelta
from agentkit.models.chat import ChatBackend
from agentkit.models.retry import Retry
from agentkit.paused import Approved, PausedRun
from agentkit.testing import AssistantsServer, ChatServer, Reply, ScriptedModel, call
from agentkit.window import Window, summariser

PROMPT = "How many otters are in the pyramids?"
INSTRUCTIONS = "Speak like a walrus."
SAID = "Forty-two marmots."
COUNTED = '{"otters": 42}'
KEY = 'sk-canary/7+"x=Zq9'
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8
REFUSAL = "I will not count them."
WORD = "capybara-3391"
"""What tools are asked for, and complain of."""
PIN = "canary-pin-8841"
CANCELLED = "CANCELLED"
"""Stands for the event loop's own exception."""
ONCE = Retry(times=0)
QUICK = Retry(first_pause=0.001, longest_pause=0.002)
R, M = "invoke_agent clerk", "chat m"


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@tool
def fail(word: str) -> str:
    """Fail."""
    raise ToolFailed(f"there is no {word}")


@tool
def broken(word: str) -> str:
    """Break."""
    raise ValueError(f"what is {word}?")


@tool(errors="raise")
def fatal(word: str) -> str:
    """Break, and the run with it."""
    raise ValueError(f"what is {word}?")


@tool(timeout=5)
async def slow() -> str:
    """Take for ever."""
    await anyio.sleep_forever()
    return "never"


@tool(approval=True, effects="external")
def pay(to: str) -> str:
    """Pay somebody."""
    return f"{to} is paid"


@tool
def log_in(user: str, pin: Annotated[str, Secret]) -> str:
    """Log in."""
    return f"hello {user}"


@tool
async def twice(word: str, ctx: Context[Any]) -> str:
    """Call another tool."""
    return f"{word} {await ctx.call('add', {'a': 1, 'b': 1})}"


@dataclass
class Counted:
    """An output with a form."""

    otters: int


class Stage:
    """Where an ending happens."""

    def __init__(self, telemetry: Telemetry) -> None:
        self.telemetry = telemetry
        self.reached = anyio.Event()
        """The run is where it is to be ended from outside."""

    @asynccontextmanager
    async def chat(self, *replies: Any, retry: Retry = ONCE) -> AsyncIterator[ChatBackend]:
        """A model behind a Chat Completions server."""
        left = list(replies)

        def answer(body: Any) -> Any:
            reply = left.pop(0)
            if isinstance(reply, Reply) and reply.delay_until == "never":
                self.reached.set()
            return reply

        async with ChatServer(answer) as server, client_of(server.base_url) as client:
            yield ChatBackend("m", client=client, retry=retry)

    @asynccontextmanager
    async def assistants(self, *replies: Any) -> AsyncIterator[AssistantsBackend]:
        """A model behind an Assistants server."""
        async with AssistantsServer(list(replies)) as server, client_of(server.base_url) as client:
            yield AssistantsBackend("m", client=client)

    def clerk(self, model: ModelBackend, *tools: Any, **given: Any) -> Agent[Any]:
        """The agent that most of it is about."""
        given = {"name": "clerk", "instructions": INSTRUCTIONS, **given}
        return Agent(model, tools=list(tools), telemetry=self.telemetry, **given)

    def tool_that_hangs(self) -> Any:
        """A tool from which only a cancellation leads out."""

        @tool
        async def hang() -> str:
            """Wait for ever."""
            self.reached.set()
            await anyio.sleep_forever()
            return "never"

        return hang

    async def until_reached(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Do something, and cancel it where it says so."""
        async with anyio.create_task_group() as group:
            group.start_soon(work)
            await self.reached.wait()
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()


@asynccontextmanager
async def client_of(url: str) -> AsyncIterator[AsyncOpenAI]:
    async with DefaultAsyncHttpxClient(verify=False) as http:
        yield AsyncOpenAI(base_url=url, api_key=KEY, http_client=http)


class Hanging:
    """A model in this process that never answers."""

    info = ModelInfo(provider="scripted", model="m", in_process=True)

    async def generate(self, request: ModelRequest, on_delta: OnDelta | None = None) -> ModelResponse:
        """Wait."""
        await anyio.sleep_forever()
        raise AssertionError


def local(*script: Any) -> ScriptedModel:
    """A model in this process, by the name that all here have."""
    model = ScriptedModel(script)
    model.info = replace(model.info, model="m")
    return model


HIDDEN = (SAID, WORD, REFUSAL, "otters")
Happens = Callable[[Stage], Awaitable[Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ending:
    """One way in which a run ends."""

    name: str
    happens: Happens
    fails: tuple[tuple[str, str], ...] = ()
    """The spans that fail, each with its error.type."""
    facts: Facts = field(default_factory=Facts)
    links: Mapping[str, int] = field(default_factory=dict)
    """How many links to other runs the spans of a name have, in all."""
    virtual: bool = False
    """Whether it waits by the clock."""


CLERK = About(instructed=True)
LOCAL = About(instructed=True, in_process=True, ids=False)


def facts(about: About = CLERK, **given: Any) -> Facts:
    """What is known of a run of the clerk's."""
    return Facts(
        **{"agents": {"clerk": about}, "said": (PROMPT, INSTRUCTIONS), "hidden": HIDDEN, "secrets": (KEY,), **given}
    )


def runs(*replies: Any, tools: Sequence[Any] = (), retry: Retry = ONCE, **given: Any) -> Happens:
    """A run against a server, whose error is its own affair."""

    async def happens(stage: Stage) -> None:
        async with stage.chat(*replies, retry=retry) as model:
            await _survived(stage.clerk(model, *tools, **given).run, PROMPT)

    return happens


def streams(*replies: Any, tools: Sequence[Any] = (), leave: bool = False, **given: Any) -> Happens:
    """The same, watched to the end or to the first event of an answer."""

    async def watch(agent: Agent[Any]) -> None:
        async with agent.stream(PROMPT) as run:
            async for event in run:
                if leave and isinstance(event, TextDelta):
                    break

    async def happens(stage: Stage) -> None:
        async with stage.chat(*replies) as model:
            await _survived(watch, stage.clerk(model, *tools, **given))

    return happens


def local_runs(*script: Any, tools: Sequence[Any] = (), model: Any = None, **given: Any) -> Happens:
    """A run with a model in this process."""

    async def happens(stage: Stage) -> None:
        await _survived(stage.clerk(model or local(*script), *tools, **given).run, PROMPT)

    return happens


async def _survived(work: Callable[..., Awaitable[Any]], *given: Any) -> None:
    try:
        await work(*given)
    except AgentError:
        pass


async def cancelled_in_a_model_call(stage: Stage) -> None:
    """The caller goes away while the model thinks."""
    async with stage.chat(Reply(delay_until="never")) as model:
        await stage.until_reached(lambda: stage.clerk(model).run(PROMPT))


async def cancelled_in_a_stream(stage: Stage) -> None:
    """The same, watched."""

    async def watch(agent: Agent[Any]) -> None:
        async with agent.stream(PROMPT) as run:
            async for _ in run:
                pass

    async with stage.chat(Reply(delay_until="never")) as model:
        await stage.until_reached(lambda: watch(stage.clerk(model)))


async def cancelled_in_a_tool(stage: Stage) -> None:
    """The caller goes away while a tool runs."""
    async with stage.chat([call("hang")]) as model:
        await stage.until_reached(lambda: stage.clerk(model, stage.tool_that_hangs()).run(PROMPT))


async def abandoned_in_a_tool(stage: Stage) -> None:
    """Whoever watches leaves while a tool runs."""
    async with stage.chat([call("hang")]) as model:
        async with stage.clerk(model, stage.tool_that_hangs()).stream(PROMPT) as run:
            async for event in run:
                if isinstance(event, ToolStarted):
                    break
            await stage.reached.wait()


async def stopped_beside_the_model_call(stage: Stage) -> None:
    """A guardrail says no while the model thinks."""

    async def no_more(messages: Any, context: Any) -> str:
        await stage.reached.wait()
        return "we do not talk about otters"

    async with stage.chat(Reply(delay_until="never")) as model:
        await _survived(stage.clerk(model, guardrails=Guardrails(input=[no_more])).run, PROMPT)


async def paused(stage: Stage) -> None:
    """A call waits for a yes."""
    async with stage.chat([call("add", a=1, b=2), call("pay", to="ada")]) as model:
        await stage.clerk(model, add, pay).run(PROMPT, approve="pause")


async def resumed(stage: Stage) -> None:
    """The yes comes, in another process."""
    async with stage.chat([call("pay", to="ada")], SAID) as model:
        first = await stage.clerk(model, pay).run(PROMPT, approve="pause")
        assert first.paused is not None
        pause = PausedRun.from_json(first.paused.to_json())
        answers = {waiting.call_id: Approved() for waiting in pause.waiting}
        await stage.clerk(model, pay).resume(pause, answers)


async def in_a_session(stage: Stage) -> None:
    """A conversation that the application keeps, in two runs."""
    store = MemoryStore()
    async with stage.chat(SAID, SAID) as model:
        for _ in range(2):
            await stage.clerk(model).run(PROMPT, session=Session("alice-7", store))


async def in_the_applications_span(stage: Stage) -> None:
    """Two runs at once, in a request of the application's."""
    assert stage.telemetry.tracer_provider is not None
    async with stage.chat(SAID, SAID) as model:
        with stage.telemetry.tracer_provider.get_tracer("app").start_as_current_span("request"):
            async with anyio.create_task_group() as group:
                for _ in range(2):
                    group.start_soon(stage.clerk(model).run, PROMPT)


async def asks_an_agent(stage: Stage) -> None:
    """An agent is a tool of another."""
    async with stage.chat([call("helper", prompt="2+2?")], [call("add", a=2, b=2)], "4", SAID) as model:
        helper = Agent(model, name="helper", description="Counts.", tools=[add], telemetry=stage.telemetry)
        await stage.clerk(model, helper.as_tool()).run(PROMPT)


async def an_agent_that_is_asked_fails(stage: Stage) -> None:
    """The one that asked goes on without it."""
    async with stage.chat([call("helper", prompt="2+2?")], Reply(status=500), SAID) as model:
        helper = Agent(model, name="helper", description="Counts.", telemetry=stage.telemetry)
        await stage.clerk(model, helper.as_tool()).run(PROMPT)


async def hands_over(stage: Stage) -> None:
    """Another agent takes over, and answers."""
    async with stage.chat([call("transfer_to_till")], [call("add", a=1, b=1)], SAID) as model:
        till = Agent(model, name="till", instructions="Be kind.", tools=[add], telemetry=stage.telemetry)
        await stage.clerk(model, handoffs=[till]).run(PROMPT)


async def sums_up(stage: Stage) -> None:
    """A long conversation is summed up by a model before the answer."""
    said: list[Message] = [UserMessage(content=PROMPT), AssistantMessage(text=SAID)] * 6
    async with stage.chat("They talked of otters.", SAID) as model:
        window = Window(messages=4, summarise=summariser(model))
        await stage.clerk(model, window=window).run(PROMPT, history=said)


async def shows_a_picture(stage: Stage) -> None:
    """The user shows something."""
    async with stage.chat(SAID) as model:
        await stage.clerk(model).run([PROMPT, ImagePart.of(PICTURE)])


def kept(*replies: Any, tools: Sequence[Any] = (), stream: bool = False, **given: Any) -> Happens:
    """A run against a server that keeps the conversation."""

    async def happens(stage: Stage) -> None:
        async with stage.assistants(*replies) as model:
            agent = stage.clerk(model, *tools, **given)
            if stream:
                async with agent.stream(PROMPT) as run:
                    await _survived(run.finish)
            else:
                await _survived(agent.run, PROMPT)

    return happens


async def kept_and_cancelled(stage: Stage) -> None:
    """The caller goes away while the server waits for a tool's result."""
    async with stage.assistants([call("hang")]) as model:
        await stage.until_reached(partial(stage.clerk(model, stage.tool_that_hangs()).run, PROMPT))


async def not_stored(stage: Stage) -> None:
    """The conversation cannot be kept."""

    class Full(MemoryStore):
        async def append(self, *given: Any, **more: Any) -> int:
            raise OSError(28, "No space left on device")

    async with stage.chat(SAID) as model:
        await _survived(partial(stage.clerk(model).run, PROMPT, session=Session("alice-7", Full())))


async def no_name(stage: Stage) -> None:
    """An agent that nobody has given a name."""
    async with stage.chat([call("add", a=1, b=2)], SAID) as model:
        await Agent(model, tools=[add], telemetry=stage.telemetry).run(PROMPT)


async def nobody_listens(stage: Stage) -> None:
    """There is no server where it should be."""
    async with client_of("http://127.0.0.1:1/v1") as client:
        await _survived(stage.clerk(ChatBackend("m", client=client, retry=ONCE)).run, PROMPT)


def no(*given: Any) -> str:
    """A guardrail that lets nothing pass."""
    return "we do not talk about otters"


ADD = [call("add", a=1, b=2)]
TOOLS = replace(CLERK, tools=True)
E = "agentkit.errors."
SETTINGS = ModelSettings(
    temperature=1,
    top_p=0.5,
    max_tokens=100,
    stop=("END", "."),
    seed=7,
    reasoning_effort="low",
    parallel_tool_calls=True,
)
FURTHER = {
    "frequency_penalty": 1,
    "presence_penalty": -0.5,
    "top_k": 5,
    "n": 2,
    "service_tier": "flex",
    "logit_bias": {},
}
SENT = {
    "gen_ai.request.frequency_penalty": 1.0,
    "gen_ai.request.presence_penalty": -0.5,
    "gen_ai.request.top_k": 5,
    "gen_ai.request.choice.count": 2,
}
REQUESTED = {
    "gen_ai.request.temperature": 1.0,
    "gen_ai.request.top_p": 0.5,
    "gen_ai.request.max_tokens": 100,
    "gen_ai.request.stop_sequences": ("END", "."),
    "gen_ai.request.seed": 7,
    "gen_ai.request.reasoning.level": "low",
}


def ending(name: str, happens: Happens, *fails: tuple[str, str], about: About = CLERK, **given: Any) -> Ending:
    """A row."""
    own = {key: given.pop(key) for key in ("links", "virtual") if key in given}
    return Ending(name=name, happens=happens, fails=fails, facts=facts(about, **given), **own)


def _plain() -> tuple[Ending, ...]:
    tools = {"about": TOOLS}
    return (
        ending("ok", runs(ADD, SAID, tools=[add]), said=(PROMPT, INSTRUCTIONS, SAID), **tools),
        ending("no tools", runs(SAID)),
        ending("no name", no_name, agents={"": About(tools=True)}, said=(PROMPT,)),
        ending("two calls at once", runs([*ADD, call("add", a=3, b=4)], SAID, tools=[add]), **tools),
        ending("a tool calls a tool", runs([call("twice", word="x")], SAID, tools=[add, twice]), **tools),
        ending(
            "settings",
            runs(SAID, settings=SETTINGS),
            about=replace(CLERK, requested=REQUESTED),
        ),
        ending(
            "further settings",
            local_runs(SAID, settings=ModelSettings(extra=FURTHER)),
            about=replace(LOCAL, requested=SENT),
        ),
        ending("a session", in_a_session, about=replace(CLERK, conversation="alice-7")),
        ending(
            "the session cannot be stored",
            not_stored,
            (R, f"{E}SessionError"),
            about=replace(CLERK, conversation="alice-7"),
        ),
        ending("inside of the application's span", in_the_applications_span, foreign=frozenset({"request"})),
        ending(
            "a secret argument",
            runs([call("log_in", user="ada", pin=PIN)], SAID, tools=[log_in]),
            secrets=(KEY, PIN),
            **tools,
        ),
        ending("a model in this process", local_runs(ADD, SAID, tools=[add]), about=replace(LOCAL, tools=True)),
    )


def _tools() -> tuple[Ending, ...]:
    tools = {"about": TOOLS}
    return (
        ending(
            "a tool fails",
            runs([call("fail", word=WORD)], SAID, tools=[fail]),
            ("execute_tool fail", f"{E}ToolFailed"),
            **tools,
        ),
        ending(
            "a tool breaks",
            runs([call("broken", word=WORD)], SAID, tools=[broken]),
            ("execute_tool broken", "ValueError"),
            **tools,
        ),
        ending(
            "a tool breaks the run",
            runs([call("fatal", word=WORD)], tools=[fatal]),
            ("execute_tool fatal", "ValueError"),
            (R, f"{E}ToolFailed"),
            **tools,
        ),
        ending(
            "invalid arguments",
            runs([call("add", a=WORD)], SAID, tools=[add]),
            ("execute_tool add", f"{E}InvalidArguments"),
            **tools,
        ),
        ending(
            "an unknown tool",
            runs([call("subtract", a=1)], SAID, tools=[add]),
            ("execute_tool subtract", f"{E}UnknownTool"),
            undescribed=frozenset({"subtract"}),
            **tools,
        ),
        ending(
            "a tool takes too long",
            local_runs([call("slow")], SAID, tools=[slow]),
            ("execute_tool slow", f"{E}ToolTimeout"),
            about=replace(LOCAL, tools=True),
            virtual=True,
        ),
    )


def _models() -> tuple[Ending, ...]:
    echo, repeated = f"the key {KEY} is not right", f"I cannot read {PROMPT!r}"

    def failed(name: str, reply: Any, error: str, **given: Any) -> Ending:
        return ending(name, runs(reply, **given), (M, f"{E}{error}"), (R, f"{E}{error}"))

    late = ModelSettings(timeout=0.05)
    return (
        failed("the server fails", Reply(status=500, error=echo), "ServerFailed"),
        failed("the key is wrong", Reply(status=401, error=echo), "AuthFailed"),
        failed("the request is refused", Reply(status=400, error=echo), "RequestRejected"),
        failed("the server repeats the prompt", Reply(status=400, error=repeated), "RequestRejected"),
        failed("no more money", Reply(status=429, error_code="insufficient_quota"), "QuotaExceeded"),
        failed("the connection is reset", Reply(fault="reset_before_head"), "ConnectionFailed"),
        failed("no JSON", Reply(body=b"<html>"), "BadResponse"),
        failed("the server is too slow", Reply(delay_until="never"), "ModelTimeout", settings=late),
        ending("nobody listens", nobody_listens, (M, f"{E}ConnectionFailed"), (R, f"{E}ConnectionFailed")),
        ending(
            "asked again",
            runs(Reply(status=429, headers={"retry-after-ms": "1"}), Reply(status=503), SAID, retry=QUICK),
        ),
        ending("structured", runs(COUNTED, output=Counted), about=replace(CLERK, structured=True)),
        ending(
            "structured at the second try",
            runs("many", COUNTED, output=Counted),
            about=replace(CLERK, structured=True),
        ),
        failed("the model refuses", AssistantMessage(refusal=REFUSAL), "Refused"),
        failed("filtered", Reply(message="", finish_reason="content_filter"), "ContentFiltered"),
        ending(
            "structured, and cut",
            runs(Reply(message='{"otte', finish_reason="length"), output=Counted),
            (M, f"{E}Truncated"),
            (R, f"{E}Truncated"),
            about=replace(CLERK, structured=True),
        ),
    )


def _stopped() -> tuple[Ending, ...]:
    one, tools = Limits(iterations=1), {"about": TOOLS}
    tripped = f"{E}GuardrailTripped"
    return (
        ending("cancelled in a model call", cancelled_in_a_model_call, (M, CANCELLED), (R, CANCELLED)),
        ending("cancelled in a tool", cancelled_in_a_tool, ("execute_tool hang", CANCELLED), (R, CANCELLED), **tools),
        ending(
            "the time is over",
            local_runs(model=Hanging(), limits=Limits(seconds=5)),
            (M, CANCELLED),
            (R, f"{E}RunTimeout"),
            about=LOCAL,
            virtual=True,
        ),
        ending("too many iterations", runs(ADD, tools=[add], limits=one), (R, f"{E}LimitExceeded"), **tools),
        ending("too many tokens", runs(limits=Limits(tokens=1)), (R, f"{E}LimitExceeded"), said=()),
        ending(
            "going in circles",
            runs(ADD, ADD, tools=[add], limits=Limits(repeats=2)),
            (R, f"{E}LoopDetected"),
            **tools,
        ),
        ending(
            "a last answer at the limit",
            runs(ADD, SAID, tools=[add], limits=Limits(iterations=2, on_limit="answer")),
            **tools,
        ),
        ending(
            "a part at the limit",
            runs(ADD, tools=[add], limits=Limits(iterations=1, on_limit="partial")),
            **tools,
        ),
        ending(
            "a guardrail of the input",
            runs(SAID, guardrails=Guardrails(input=[no], blocking=True)),
            (R, tripped),
            said=(),
        ),
        ending("a guardrail of the output", runs(SAID, guardrails=Guardrails(output=[no])), (R, tripped)),
        ending(
            "a guardrail of a call",
            runs(ADD, tools=[add], guardrails=Guardrails(tool_call=[no])),
            ("execute_tool add", tripped),
            (R, tripped),
            **tools,
        ),
        ending(
            "a guardrail of a result",
            runs(ADD, tools=[add], guardrails=Guardrails(tool_result=[no])),
            ("execute_tool add", tripped),
            (R, tripped),
            **tools,
        ),
        ending(
            "a guardrail beside the model call",
            stopped_beside_the_model_call,
            (M, CANCELLED),
            (R, tripped),
        ),
        ending(
            "nobody says yes",
            runs([call("pay", to="ada")], SAID, tools=[pay]),
            ("execute_tool pay", f"{E}ToolDenied"),
            **tools,
        ),
        ending(
            "too many tool calls",
            runs([*ADD, call("add", a=3, b=4)], SAID, tools=[add], limits=Limits(tool_calls=1)),
            ("execute_tool add", f"{E}ToolDenied"),
            **tools,
        ),
        ending("paused", paused, **tools),
        ending("paused and resumed", resumed, links={R: 1}, **tools),
    )


def _watched() -> tuple[Ending, ...]:
    tools: dict[str, Any] = {"about": TOOLS, "streamed": True}
    return (
        ending("streamed", streams(ADD, SAID, tools=[add]), **tools),
        ending("streamed and abandoned", streams(SAID, leave=True), (M, CANCELLED), (R, CANCELLED), streamed=True),
        ending("abandoned in a tool", abandoned_in_a_tool, ("execute_tool hang", CANCELLED), (R, CANCELLED), **tools),
        ending("cancelled in a stream", cancelled_in_a_stream, (M, CANCELLED), (R, CANCELLED), streamed=True),
        ending(
            "the stream breaks",
            streams(Reply(message=SAID, fault="reset", fault_after=2)),
            (M, f"{E}StreamBroken"),
            (R, f"{E}StreamBroken"),
            streamed=True,
        ),
        ending(
            "streamed, and the server fails",
            streams(Reply(status=500)),
            (M, f"{E}ServerFailed"),
            (R, f"{E}ServerFailed"),
            streamed=True,
        ),
    )


def _several() -> tuple[Ending, ...]:
    helper = {"clerk": TOOLS, "helper": About(tools=True, described=True)}
    keeps = replace(TOOLS, conversation="*", reports=False, api="")
    no_tools = replace(keeps, tools=False)
    summing_up = replace(CLERK, may_request={"gen_ai.request.max_tokens": 1000})
    return (
        ending(
            "sums up a long conversation",
            sums_up,
            about=summing_up,
        ),
        ending("a picture", shows_a_picture, secrets=(KEY, b64encode(PICTURE).decode())),
        ending("asks an agent", asks_an_agent, agents=helper),
        ending(
            "an agent that is asked fails",
            an_agent_that_is_asked_fails,
            (M, f"{E}ServerFailed"),
            ("invoke_agent helper", f"{E}ServerFailed"),
            ("execute_tool helper", f"{E}ServerFailed"),
            agents={**helper, "helper": About(described=True)},
        ),
        ending("hands over", hands_over, agents={"clerk": TOOLS, "till": TOOLS}),
        ending("the server keeps the conversation", kept(ADD, SAID, tools=[add]), about=keeps),
        ending("and streams", kept(ADD, SAID, tools=[add], stream=True), about=keeps, streamed=True),
        ending("and fails", kept(Reply(status=500)), (M, f"{E}ServerFailed"), (R, f"{E}ServerFailed"), about=no_tools),
        ending(
            "and the model refuses",
            kept(AssistantMessage(refusal=REFUSAL)),
            (M, f"{E}Refused"),
            (R, f"{E}Refused"),
            about=no_tools,
        ),
        ending(
            "and waits for a tool that is cancelled",
            kept_and_cancelled,
            ("execute_tool hang", CANCELLED),
            (R, CANCELLED),
            about=keeps,
        ),
        ending(
            "and waits at a limit",
            kept(ADD, tools=[add], limits=Limits(iterations=1)),
            (R, f"{E}LimitExceeded"),
            about=keeps,
        ),
    )


ENDINGS: tuple[Ending, ...] = (*_plain(), *_tools(), *_models(), *_stopped(), *_watched(), *_several())
