"""The conversation of one run, and the session that keeps it."""

from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from .cancellation import is_cancelled
from .errors import AgentError, ConfigError, SessionConflict, SessionError, said
from .messages import AssistantMessage, Message, UserMessage, is_tainted
from .sessions import Session, Stored
from .steps import Steps, Work


@dataclass(kw_only=True, slots=True)
class History:
    """What has been said so far, and how much of it the session has."""

    messages: list[Message]
    session: Session | None
    steps: Steps
    revision: int = 0
    """The session's revision that this run has seen last."""
    stored: int = 0
    """How many of the messages the session has."""
    _cut_short: bool = False
    """Whether a write was cancelled, so that nobody knows whether it took effect."""
    _looked_at: int = 0
    _tainted: bool = False

    @property
    def is_tainted(self) -> bool:
        """Whether something untrusted has been read; it stays so."""
        if not self._tainted and self._looked_at < len(self.messages):
            self._tainted = is_tainted(self.messages[self._looked_at :])
        self._looked_at = len(self.messages)
        return self._tainted

    async def load(self) -> None:
        """What the session has.

        Raises:
            SessionError: it cannot be read.
        """
        if self.session is not None:
            session, step = self.session, self.steps.reserve("load", Stored)
            with session_errors():
                known = await step(lambda: session.store.load(session.id))
            self.begin_with(known)

    def begin_with(self, known: Stored) -> None:
        """Go on from what is known."""
        self.messages[:], self.revision, self.stored = known.messages, known.revision, len(known.messages)

    async def store(self) -> None:
        """Write what the session does not have yet: a step is stored whole or not at all.

        Raises:
            SessionError: it could not be written.
        """
        if self.session is None or self.stored == len(self.messages):
            return
        if self._cut_short:
            await self._catch_up(self.session)
        try:
            await self._append(self.session)
        except SessionConflict:
            if not (self._cut_short and await self._catch_up(self.session)):
                raise
            await self._append(self.session)

    async def _append(self, session: Session) -> None:
        fresh = self.messages[self.stored :]
        if fresh:
            step = self.steps.reserve("session", int)
            try:
                with session_errors():
                    self.revision = await step(
                        Work(fresh, lambda: session.store.append(session.id, fresh, revision=self.revision))
                    )
            except BaseException as error:
                self._cut_short = self._cut_short or is_cancelled(error)
                raise
            self.stored += len(fresh)

    async def _catch_up(self, session: Session) -> bool:
        """Whether what was being written when this was cancelled has been written after all, by a thread perhaps."""
        step = self.steps.reserve("load", Stored)
        with session_errors():
            known = await step(lambda: session.store.load(session.id))
        there = len(known.messages)
        if there <= self.stored or list(known.messages) != self.messages[:there]:
            return False
        self.revision, self.stored = known.revision, there
        return True


def bytes_of(messages: Iterable[Message]) -> int:
    """How long the text of these messages is."""
    return sum(map(_length, messages))


@contextmanager
def session_errors() -> Generator[None]:
    """A store's own exceptions, a full disk's for example, are a SessionError to the caller."""
    try:
        yield
    except AgentError:
        raise
    except Exception as error:
        raise SessionError(f"the store failed with {type(error).__name__}: {said(error)}") from error


def _length(message: Message) -> int:
    if isinstance(message, AssistantMessage):
        text = message.text + "".join(call.name + call.arguments for call in message.tool_calls)
    else:
        text = message.text if isinstance(message, UserMessage) else message.content
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def require_words(messages: Sequence[Message], instructions: str) -> None:
    """Make sure that there is something to answer.

    Raises:
        ConfigError: nobody has said anything.
    """
    if not (messages or instructions):
        raise ConfigError("there is nothing to answer: give a prompt, or history= or session= with what was said")
