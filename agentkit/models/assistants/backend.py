"""Asks a server that speaks the Assistants wire: a conversation is a thread there, and an answer comes from a run."""

from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import anyio

from agentkit.errors import ConfigError, ModelError, RequestRejected, SessionBusy
from agentkit.messages import AssistantMessage, FilePart, ImagePart, Message, Part, Usage, UserMessage
from agentkit.models.base import Delta, ModelInfo, ModelRequest, ModelResponse, OnDelta
from agentkit.models.http import CONCURRENCY, Server, masked
from agentkit.registry import ToolRegistry
from agentkit.turns import Places

from .content import decode_thread
from .decode import Turn, has_ended, untold
from .encode import (
    check_metadata,
    encode_assistant,
    encode_messages,
    encode_overrides,
    encode_resources,
    encode_run,
)
from .files import Files
from .ids import path
from .keeper import Keeper
from .place import Place, Results, Words, fingerprint, next_move, place_of, runs_in
from .runs import Exchange, cancel, nothing
from .threads import (
    OnActiveRun,
    active_runs,
    add_message,
    delete_thread,
    give_files,
    holds,
    is_busy,
    make_thread,
    make_way,
    says_more,
)
from .wire import Hold, Wire, lock

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_MESSAGES_OF_A_RUN = 32
"""Messages that can be said with a run; what is older is added to the thread one by one."""
_ASKING = 5000
_PAUSES = (0.1, 0.5, 1.0, 2.0, 5.0, 5.0)
"""Seconds before a thread is tried again that is said to be busy, though no run is to be seen there."""


@dataclass(eq=False)
class AssistantsBackend:
    """A model on a server that speaks the Assistants wire, version 2.

    Our history is the truth, and the thread is the server's copy of it: if somebody else has gone on in the thread, or
    the history was changed, the conversation gets a new thread. With `thread=`, that thread is the truth.

    Raises:
        ConfigError: there is neither a model nor an assistant, or the metadata does not fit.
    """

    model: str = ""
    """The model's name, as the server knows it. It may be empty where `assistant` is given."""
    _: KW_ONLY
    base_url: str | None = field(default=None, repr=False)
    """Where the server is, `http://localhost:8000/v1` for example; OPENAI_BASE_URL if not given."""
    api_key: str | None = field(default=None, repr=False)
    """The key; OPENAI_API_KEY if not given."""
    client: "AsyncOpenAI | None" = field(default=None, repr=False)
    """An `openai.AsyncOpenAI` of your own, instead of the two above."""
    concurrency: int = CONCURRENCY
    """Requests to this server at the same time, over all agents of an event loop."""
    assistant: str | None = None
    """The id of an assistant to be used as it is: the agent's instructions are added to its own, and its functions are
    the agent's tools. If not given, one with the agent's content is found or made."""
    thread: str | None = None
    """The id of a thread on which all that this backend is asked is said."""
    on_active_run: OnActiveRun = "wait"
    """What to do when somebody else's run holds the thread: cancel it, raise SessionBusy, or wait for its end. On a
    thread of agentkit's own there is nothing to wait for: the conversation gets a new one."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """For the threads and the runs that are made; up to 14 pairs."""

    def __post_init__(self) -> None:
        for name in ("assistant", "thread"):
            if getattr(self, name) == "":
                raise ConfigError(f"{name}='' is no id: leave it out, or give one that the server gave")
        if not (self.model or self.assistant):
            raise ConfigError('the model\'s name is missing: write "assistants:NAME", or AssistantsBackend("NAME")')
        if self.on_active_run not in {"wait", "cancel", "raise"}:
            raise ConfigError(f'on_active_run={self.on_active_run!r}: write "wait", "cancel" or "raise"')
        check_metadata(self.metadata)
        self.server = Server(
            base_url=self.base_url, api_key=self.api_key, client=self.client, concurrency=self.concurrency
        )
        self._asking: dict[tuple[str, int], None] = {}

    def __repr__(self) -> str:
        known = {
            "base_url": self.base_url and masked(self.base_url),
            "assistant": self.assistant,
            "thread": self.thread,
        }
        told = [repr(self.model)] if self.model else []
        told += [f"{name}={value!r}" for name, value in known.items() if value is not None]
        return f"AssistantsBackend({', '.join(told)})"

    @cached_property
    def info(self) -> ModelInfo:
        """Who will answer."""
        return self.server.info(self.model or self.assistant or "")

    @property
    def places(self) -> Places:
        """What may be asked at once, in this event loop."""
        return self.server.door().places

    @cached_property
    def files(self) -> Files:
        """The server's files and vector stores."""
        return Files.of(self.server)

    async def generate(self, request: ModelRequest, on_delta: OnDelta | None = None) -> ModelResponse:
        """Ask for one answer; see `ModelBackend`. Left in the middle, it cancels the run on the server too.

        Raises:
            SessionBusy: somebody else's run holds the thread, and the policy is to raise.
            ModelError: there was no answer, or none that can be used.
        """
        asked = _Asked(request, Wire(self.server, request.settings.timeout), on_delta or _to_no_one)
        try:
            with _switched_off(self.info):
                response = await self._answer(asked)
        except ModelError as error:
            error.retries = tuple(asked.wire.retries)
            raise
        return replace(response, retries=tuple(asked.wire.retries)) if asked.wire.retries else response

    async def _answer(self, asked: "_Asked") -> ModelResponse:
        """What comes next in the conversation, wherever it stands."""
        move = next_move(asked.request.messages, self._where, self.thread)
        if isinstance(move, Results):
            async with self._exchange(asked, move.place) as exchange:
                if await exchange.submit(move, sure=self._is_asking(move.place)):
                    return self._note(await exchange.response())
            response = await self._speak_instead(asked, move.otherwise, exchange.turn.run)
            return replace(response, usage=response.usage + _of_a_lost_run(exchange.turn.run, move.place))
        if move.place is not None and move.place.waiting:
            run = await cancel(asked.wire, move.place.thread, move.place.run)
            return await self._speak_instead(asked, move, run)
        return await self._speak(asked, move)

    async def release(self, answer: AssistantMessage) -> Usage:
        """Cancel the run that waits for the results of an answer's tool calls; see `HoldsAnswers`."""
        place = place_of(answer, self._where)
        if place is None or not place.waiting:
            return Usage()
        return untold(await cancel(Wire(self.server), place.thread, place.run), place)

    async def history(self, thread: str) -> list[Message]:
        """What was said on a thread, so that the conversation can go on anywhere: `agent.run(..., history=...)`.

        Tool calls are not part of a thread's messages; an answer that only called tools is left out.

        Raises:
            ModelError: the server could not be asked, or has no such thread.
        """
        messages = Wire(self.server).each(path("threads", thread, "messages"), "asc")
        return decode_thread([message async for message in messages])

    async def forget(self, history: Sequence[Message]) -> None:
        """Delete the threads that a conversation is on, those that agentkit has made.

        Raises:
            ModelError: the server could not be asked.
        """
        given = cast("object", history)
        if not (isinstance(given, Sequence) and all(isinstance(message, Message) for message in given)):
            raise ConfigError(f"forget({history!r:.80}): give messages, as RunResult.messages has them")
        places = [place for message in history if (place := place_of(message, self._where)) is not None]
        for thread in dict.fromkeys(place.thread for place in places):
            await delete_thread(Wire(self.server), thread)

    async def delete_assistants(self) -> int:
        """Delete all assistants that agentkit has made on this server; how many there were.

        Raises:
            ModelError: the server could not be asked.
        """
        return await self._keeper.delete_all(Wire(self.server))

    @cached_property
    def _keeper(self) -> Keeper:
        return Keeper(self.server, self._where)

    @cached_property
    def _where(self) -> str:
        url = self.server.url()
        return f"{self.info.address}:{self.info.port}{url.path.rstrip('/')}"

    async def _speak_instead(self, asked: "_Asked", words: Words, run: dict[str, Any]) -> ModelResponse:
        """Say in words what a run was not told any more, or did not understand."""
        assert words.place is not None
        if self.thread is None and not (has_ended(run) and not await says_more(asked.wire, words.place)):
            words = replace(words, place=None)
        return await self._speak(asked, words)

    async def _speak(self, asked: "_Asked", words: Words) -> ModelResponse:
        """Say something in a new run, on the thread that the conversation is on."""
        resources = encode_resources(asked.request.tools, "thread")
        self._check_files(asked.request.tools)
        assistant = encode_assistant(asked.request, self.model)
        await self._answering(asked, assistant)  # where there are no assistants, there is no thread to be made either
        if self.thread is not None:
            return await self._speak_on(self.thread, asked, assistant, words)
        if words.place is not None:
            async with self._hold(words.place.thread) as hold:
                if await holds(asked.wire, words, self.on_active_run):
                    if words.place.resources != fingerprint(resources):
                        await give_files(asked.wire, words.place.thread, resources)
                    said = await self._encoded(words.messages)
                    try:
                        others = runs_in(words.known, words.place)
                        return await self._run(asked, assistant, _On(words.place.thread, others), said, hold.let_go)
                    except RequestRejected as error:
                        if not is_busy(error):
                            raise
        thread = await make_thread(asked.wire, resources, self.metadata)
        said = await self._encoded(asked.request.messages)
        return await self._run(asked, assistant, _On(thread, set()), said, nothing)

    async def _speak_on(self, thread: str, asked: "_Asked", assistant: dict[str, Any], words: Words) -> ModelResponse:
        """Say something on a thread that others may speak on too; with nothing to say, take up a run that waits."""
        said = await self._encoded(words.messages)
        if not said and (active := await active_runs(asked.wire, thread)):
            async with self._exchange(asked, None) as exchange:
                await exchange.follow(thread, active[0])
                return self._note(await exchange.response())
        for pause in _PAUSES:
            while True:
                hold = self._hold(thread)
                if self.on_active_run == "raise" and hold.is_held:
                    raise SessionBusy(f"another run of this process is speaking on the thread {thread!r}")
                try:
                    async with hold:
                        return await self._run(asked, assistant, _On(thread, None), said, nothing)
                except RequestRejected as error:
                    if not is_busy(error):
                        raise
                if not await make_way(asked.wire, thread, self.on_active_run):
                    break
            await anyio.sleep(pause)
        raise SessionBusy(f"the server says that the thread {thread!r} has an active run, and shows none")

    def _check_files(self, tools: ToolRegistry) -> None:
        """Nothing that a hosted tool is given may be lost without a word."""
        for keeper, own in (("assistant", self.assistant), ("thread", self.thread)):
            if own is not None and encode_resources(tools, keeper):
                other = "thread" if keeper == "assistant" else "assistant"
                raise ConfigError(
                    f"the {keeper} {own!r} is not changed, so a tool with keep={keeper!r} cannot give it files: "
                    f"give it the files yourself, or write keep={other!r}"
                )

    def _note(self, response: ModelResponse) -> ModelResponse:
        """Keep in mind which runs this process has heard ask for results, the last few thousand."""
        place = place_of(response.message, self._where)
        if place is not None and place.waiting:
            self._asking[place.run, place.rounds] = None
            while len(self._asking) > _ASKING:
                del self._asking[next(iter(self._asking))]
        return response

    def _is_asking(self, place: Place) -> bool:
        """Whether nobody else can have told a run the results that it waits for; asked once."""
        known = (place.run, place.rounds) in self._asking
        self._asking.pop((place.run, place.rounds), None)
        return known

    def _hold(self, thread: str) -> Hold:
        return Hold(lock(f"thread {self._where} {thread}"))

    async def _run(
        self,
        asked: "_Asked",
        assistant: dict[str, Any],
        on: "_On",
        said: list[dict[str, Any]],
        known: Callable[[], None],
    ) -> ModelResponse:
        """One run on a thread. Of what is said, what has been added to the thread is taken away."""
        while len(said) > _MESSAGES_OF_A_RUN:
            await add_message(asked.wire, on.thread, said[0])
            del said[0]
        overrides = encode_overrides(asked.request, self.model) if self.assistant else {}
        for last in (False, True):
            answering = await self._answering(asked, assistant)
            body = {**overrides, **encode_run(asked.request, answering, said, self.metadata)}
            exchange = self._exchange(asked, None)
            try:
                async with exchange:
                    await exchange.begin(on.thread, body, on.runs, known)
                    return self._note(await exchange.response())
            except RequestRejected as error:
                if last or error.status != 404 or self.assistant or exchange.turn.id:
                    raise
                self._keeper.forget(answering)  # the server may have lost it
        raise AssertionError("the last attempt returns or raises")

    async def _answering(self, asked: "_Asked", assistant: dict[str, Any]) -> str:
        """The id of the assistant that is to answer: the given one, or one with this content."""
        return self.assistant or await self._keeper.assistant(asked.wire, assistant)

    async def _encoded(self, messages: Sequence[Message]) -> list[dict[str, Any]]:
        return encode_messages([await self._uploaded(message) for message in messages])

    async def _uploaded(self, message: Message) -> Message:
        """The message with pictures that stand in it put on the server, since the wire takes only addresses and ids."""
        if not isinstance(message, UserMessage) or isinstance(message.content, str):
            return message
        return replace(message, content=tuple([await self._on_the_server(part) for part in message.content]))

    async def _on_the_server(self, part: Part) -> Part:
        if not isinstance(part, ImagePart) or not part.url.startswith("data:"):
            return part
        head, comma, data = part.url.partition(",")
        try:
            picture = b64decode(data, validate=True) if comma and head.endswith(";base64") else b""
        except NotBase64:
            picture = b""
        if not picture:
            raise ConfigError(f"a picture of the prompt, {part.url!r:.40}, is not data:image/...;base64,...")
        kind = head.removeprefix("data:image/").removesuffix(";base64")
        id = await self.files.upload(picture, name=f"picture.{kind}", purpose="vision")
        return FilePart(id=id, use="image")

    def _exchange(self, asked: "_Asked", place: Place | None) -> Exchange:
        turn = Turn(request=asked.request, before=place, rounds=place.rounds if place else 0)
        return Exchange(wire=asked.wire, server=self._where, turn=turn, tell=asked.tell)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked, how to ask the server, and whom to tell."""

    request: ModelRequest
    wire: Wire
    tell: OnDelta


@dataclass(frozen=True, slots=True)
class _On:
    """A thread, and the runs that it has already if nobody else begins runs there."""

    thread: str
    runs: set[str] | None


def _of_a_lost_run(run: dict[str, Any], place: Place) -> Usage:
    """What a run has used that came to nothing; of one that was cancelled, whoever did that was told."""
    return Usage() if run.get("status") == "cancelled" else untold(run, place)


async def _to_no_one(delta: Delta) -> None:
    """The listener of an answer that nobody watches."""


@contextmanager
def _switched_off(info: ModelInfo) -> Generator[None]:
    """Say what a 404 from OpenAI itself means."""
    try:
        yield
    except RequestRejected as error:
        if error.status == 404 and info.address == "api.openai.com":
            error.args = (
                f"{error}; OpenAI has switched its Assistants API off: give the base_url= of a server that has it",
            )
        raise
