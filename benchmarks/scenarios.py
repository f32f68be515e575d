"""What is measured: who has which conversations, and how often."""

from dataclasses import dataclass

OPENAI = "openai SDK loop"
HTTPX2 = "httpx2 loop"
AGENTKIT = "agentkit"
TRACED = "agentkit, traced"
MEASURED = "agentkit, traced and measured"
UNSEEN = "telemetry alone, not set up"
NO_AIOHTTP = "agentkit, no aiohttp"
ASSISTANTS = "agentkit, assistants"


@dataclass(frozen=True, kw_only=True, slots=True)
class Scenario:
    """Conversations that every contestant has with the same server, to the last answer."""

    title: str
    clock: str
    """`"cpu"` (of the client's process, per model round trip), `"wall"` (of the whole crowd), or `"held"` (the longest
    time for which nobody else gets a turn in the event loop)."""
    rounds: int
    """Answers of the model that ask for tools; one more, a text, ends the conversation."""
    calls: int = 1
    """Tool calls in each of those answers."""
    history: int = 0
    """Rounds that the conversation has behind it when it begins."""
    agents: int = 1
    """Conversations at the same time."""
    conversations: int = 1
    """Conversations one after the other in one repetition."""
    latency: int = 0
    """Milliseconds the server waits before it answers."""
    repetitions: int
    contestants: tuple[str, ...]
    baseline: str = OPENAI

    @property
    def round_trips(self) -> int:
        """Model round trips of one repetition."""
        return (self.rounds + 1) * self.agents * self.conversations

    @property
    def script(self) -> str:
        """What the server has to know, as the first part of the URL's path."""
        return f"{self.rounds}x{self.calls}after{self.history}in{self.latency}ms"


EVERYONE = (OPENAI, HTTPX2, AGENTKIT, NO_AIOHTTP)

ONE_CALL = Scenario(
    title="10 rounds x 1 call",
    clock="cpu",
    rounds=10,
    conversations=8,
    repetitions=15,
    contestants=(*EVERYONE, ASSISTANTS),
)
TELEMETRY = Scenario(
    title="Telemetry, 10 rounds x 1 call",
    clock="cpu",
    rounds=10,
    conversations=8,
    repetitions=15,
    contestants=(AGENTKIT, UNSEEN, TRACED, MEASURED),
    baseline=AGENTKIT,
)
EIGHT_CALLS = Scenario(
    title="10 rounds x 8 calls",
    clock="cpu",
    rounds=10,
    calls=8,
    conversations=2,
    repetitions=15,
    contestants=EVERYONE,
)
LONG_HISTORY = Scenario(
    title="1 round x 1 call after 200 rounds of history",
    clock="cpu",
    rounds=1,
    history=200,
    conversations=3,
    repetitions=15,
    contestants=EVERYONE,
)
CROWD = Scenario(
    title="500 agents at once, 5 rounds x 1 call, 50 ms latency",
    clock="wall",
    rounds=5,
    agents=500,
    latency=50,
    repetitions=5,
    contestants=EVERYONE,
)
THRONG = Scenario(
    title="2000 agents at once, 5 rounds x 1 call, 50 ms latency",
    clock="held",
    rounds=5,
    agents=2000,
    latency=50,
    repetitions=3,
    contestants=(HTTPX2, AGENTKIT),
    baseline=HTTPX2,
)

SCENARIOS = (ONE_CALL, TELEMETRY, EIGHT_CALLS, LONG_HISTORY, CROWD, THRONG)
