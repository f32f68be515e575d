"""Going on from a paused run: its answers are checked, and used up, before anything is done.

A pause is taken up once. Where there is a session, its revision sees to that, and the journal where there is one, both
across processes; without either, it holds within this process.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from .approval import Asked, pause_of
from .errors import AgentError, ApprovalRefused, InvalidArguments, JournalFailed, SessionConflict, ToolFailed, said
from .journal import Effect, Journal
from .messages import ToolCall, unanswered
from .paused import Answer, Answered, Approved, Denied, Pause, PausedRun, Waiting, digest, fingerprint, shown
from .registry import ToolRegistry
from .results import to_content
from .sessions import Session, Stored
from .tool import Tool
from .wording import as_json

_REMEMBERED = 100_000
_used: dict[str, object] = {}
"""The pauses and calls that this process has taken up, the last ones."""


class Resumed(Protocol):
    """What a run that goes on has to say: where it is written down that the pause is used up, and who is asked from
    here on.
    """

    journal: Journal | None
    approve: Asked | None


@dataclass(kw_only=True, slots=True)
class Resumption:
    """A paused run, and what somebody has said to its calls."""

    paused: PausedRun
    answers: Mapping[str, Answer]
    """By call id. Calls without one go on waiting."""
    waiting: dict[str, Waiting] = field(init=False)

    def __post_init__(self) -> None:
        if not isinstance(self.paused, PausedRun):
            raise ApprovalRefused(
                f"{type(self.paused).__name__} is no PausedRun; give result.paused, or PausedRun.from_json(...)"
            )
        self.waiting = {each.call_id: each for each in self.paused.waiting}

    def handed_from(self, agent: str) -> tuple[str, ...]:
        """The tools by which others have taken over since the run began with this agent.

        Raises:
            ApprovalRefused: it began with another.
        """
        if agent != self.paused.agent:
            raise ApprovalRefused(f"the paused run is one of the agent {self.paused.agent!r}, not of {agent!r}")
        return self.paused.handed

    async def take_up(self, tools: ToolRegistry, session: Session | None, run: Resumed) -> Stored:
        """The conversation to go on with, once all has been found in order; from then on the pause is used up.

        Args:
            tools: All that the agent has.
            session: The conversation's, if it has one.
            run: The run that goes on.

        Raises:
            ApprovalRefused: an answer cannot be used; nothing was done.
            SessionError: the conversation has gone on in between, or cannot be read; nothing was done.
        """
        self._check_answers()
        pause = pause_of(run.approve) or Pause()
        known = await self._known(session)
        self._check_calls({call.id: call for call in unanswered(known.messages)}, tools, pause.clock())
        return await self._claimed(known, session, run.journal)

    def _check_answers(self) -> None:
        given: object = self.answers
        if not isinstance(given, Mapping) or not given:
            raise ApprovalRefused("answers= says nothing; give an answer by call id: {'call_1': Approved()}")
        for call_id, answer in self.answers.items():
            waiting = self.waiting.get(call_id)
            if waiting is None:
                ids = ", ".join(map(repr, self.waiting))
                raise ApprovalRefused(f"no call {call_id!r:.90} waits in this run; those that wait are {ids}")
            if not isinstance(answer, Approved | Denied | Answered):
                raise ApprovalRefused(
                    f"{waiting.tool}: {answer!r:.90} is no answer; give Approved(), Denied('why') ..."
                )
            if isinstance(answer, Approved) and waiting.kind == "elsewhere":
                raise ApprovalRefused(f"{waiting.tool} is run elsewhere; answer with Answered(value), or Denied('why')")
            if isinstance(answer, Answered) and waiting.kind == "approval":
                raise ApprovalRefused(f"{waiting.tool} is run here; answer with Approved(), or Denied('why')")

    async def _known(self, session: Session | None) -> Stored:
        """The conversation as it stands."""
        own = self.paused.session
        if own != (session.id if session else None):
            raise ApprovalRefused(
                f"the paused run belongs to the session {own!r}; give session=Session({own!r}, ...)"
                if own is not None
                else "the paused run belongs to no session, and has its conversation itself; leave session= out"
            )
        if session is None:
            return Stored(messages=self.paused.messages)
        known = await session.store.load(session.id)
        if known.revision != self.paused.revision:
            raise SessionConflict(
                f"session {session.id!r} has gone on since the run paused, or the pause has been answered before; "
                "begin a new run with it"
            )
        return known

    def _check_calls(self, calls: Mapping[str, ToolCall], tools: ToolRegistry, now: float) -> None:
        if list(calls) != [each.call_id for each in self.paused.waiting]:
            raise ApprovalRefused("the calls that wait are not those at the end of the conversation; one was changed")
        for call_id, answer in self.answers.items():
            if isinstance(answer, Denied):
                continue  # which nothing comes of
            waiting, call = self.waiting[call_id], calls[call_id]
            if waiting.expires_at is not None and now >= waiting.expires_at:
                raise ApprovalRefused(
                    f"{waiting.tool}: the answer comes too late; run the conversation anew to ask again"
                )
            if call.name != waiting.tool or call.name not in tools:
                raise ApprovalRefused(f"the agent has no tool {call.name!r:.90} any more, or the run had none")
            self._check_call(tools[call.name], waiting, call, answer)

    def _check_call(self, tool: Tool, waiting: Waiting, call: ToolCall, answer: Approved | Answered) -> None:
        """An answer is for this very call of this very tool."""
        try:
            found = digest(tool, call, self.paused.run_id)
        except InvalidArguments as error:
            raise ApprovalRefused(f"{tool.name}: {error}") from None
        seen = answer.digest if isinstance(answer, Approved) else ""
        if found != waiting.digest or seen not in ("", found):
            raise ApprovalRefused(
                f"{tool.name}: the call is not the one that was asked about; its arguments were changed"
            )
        if fingerprint(tool) != waiting.fingerprint or tool.policy.elsewhere != (waiting.kind == "elsewhere"):
            raise ApprovalRefused(f"{tool.name} is not what it was when the call was asked about; ask again")
        if isinstance(answer, Answered):
            try:
                to_content(answer.value, limit=1)
            except ToolFailed as error:
                raise ApprovalRefused(f"{tool.name}: the answer cannot be told: {error}") from None
        elif answer.arguments is not None:
            try:
                tool.arguments.named(as_json(tool.name, answer.arguments))
            except InvalidArguments as error:
                raise ApprovalRefused(f"the changed arguments do not fit: {error}") from None

    async def _claimed(self, known: Stored, session: Session | None, journal: Journal | None) -> Stored:
        """From here on, nobody else can take up the same pause, nor have the same call made."""
        if session is not None:
            revision = await session.store.append(session.id, [], revision=known.revision)
            known = Stored(messages=known.messages, revision=revision)
        if journal is not None or session is None:
            run_id = self.paused.run_id
            for what in (str(self.paused.number), *(f"call:{call_id}" for call_id in self.answers)):
                if not await _is_first(f"resume:{run_id}:{what}", journal):
                    raise ApprovalRefused("this pause has been answered before; go on with what that came to")
        return known


def edited(tool: Tool | None, call: ToolCall, answer: Approved) -> tuple[ToolCall, str]:
    """The call with its changed arguments, and what the model is told of that."""
    from json import dumps  # on first use: it costs a part of `import agentkit`

    text = as_json(call.name, answer.arguments or {})
    secrets = tool.arguments.secrets if tool else frozenset(answer.arguments or {})
    seen = dumps(shown(answer.arguments or {}, secrets), ensure_ascii=False)
    note = f"Whoever approved this call has changed its arguments; it was made with {seen}, and came to:\n"
    return replace(call, arguments=text), note


async def _is_first(key: str, journal: Journal | None) -> bool:
    """Whether nobody has used this key before, here or wherever else the journal is."""
    own = Effect(key=key, tool="", arguments="", state="completed")
    if journal is None:
        is_first = _used.setdefault(key, own) is own  # in one step: threads may meet here
        while len(_used) > _REMEMBERED:
            _used.pop(next(iter(_used)), None)
        return is_first
    try:
        return await journal.begin(own) is None
    except AgentError:
        raise
    except Exception as error:
        raise JournalFailed(f"the journal failed with {type(error).__name__}: {said(error)}") from error
