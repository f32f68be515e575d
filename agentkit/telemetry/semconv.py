"""The names that agentkit's spans, metrics and events use, all of them; the tables in docs/telemetry.md are made here.

Source: OpenTelemetry GenAI semantic conventions, https://github.com/open-telemetry/semantic-conventions-genai
(status: Development, so a name that changes there is one line here). Names of agentkit's own begin with `agentkit.`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

SCHEMA_URL = "https://opentelemetry.io/schemas/1.37.0"

CHAT = "chat"
EXECUTE_TOOL = "execute_tool"
INVOKE_AGENT = "invoke_agent"
INVOKE_WORKFLOW = "invoke_workflow"

AGENT_DESCRIPTION = "gen_ai.agent.description"
AGENT_NAME = "gen_ai.agent.name"
CONVERSATION_COMPACTED = "gen_ai.conversation.compacted"
CONVERSATION_ID = "gen_ai.conversation.id"
ERROR_TYPE = "error.type"
INPUT_MESSAGES = "gen_ai.input.messages"
OPENAI_API_TYPE = "openai.api.type"
OPENAI_REQUEST_SERVICE_TIER = "openai.request.service_tier"
OPENAI_RESPONSE_SERVICE_TIER = "openai.response.service_tier"
OPENAI_RESPONSE_SYSTEM_FINGERPRINT = "openai.response.system_fingerprint"
OPERATION_NAME = "gen_ai.operation.name"
OUTPUT_MESSAGES = "gen_ai.output.messages"
OUTPUT_TYPE = "gen_ai.output.type"
PROVIDER_NAME = "gen_ai.provider.name"
REQUEST_CHOICE_COUNT = "gen_ai.request.choice.count"
REQUEST_FREQUENCY_PENALTY = "gen_ai.request.frequency_penalty"
REQUEST_MAX_TOKENS = "gen_ai.request.max_tokens"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_PRESENCE_PENALTY = "gen_ai.request.presence_penalty"
REQUEST_REASONING_LEVEL = "gen_ai.request.reasoning.level"
REQUEST_SEED = "gen_ai.request.seed"
REQUEST_STOP_SEQUENCES = "gen_ai.request.stop_sequences"
REQUEST_STREAM = "gen_ai.request.stream"
REQUEST_TEMPERATURE = "gen_ai.request.temperature"
REQUEST_TOP_K = "gen_ai.request.top_k"
REQUEST_TOP_P = "gen_ai.request.top_p"
RESPONSE_FINISH_REASONS = "gen_ai.response.finish_reasons"
RESPONSE_ID = "gen_ai.response.id"
RESPONSE_MODEL = "gen_ai.response.model"
RESPONSE_TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
SYSTEM_INSTRUCTIONS = "gen_ai.system_instructions"
TOKEN_TYPE = "gen_ai.token.type"
TOOL_CALL_ARGUMENTS = "gen_ai.tool.call.arguments"
TOOL_CALL_ID = "gen_ai.tool.call.id"
TOOL_CALL_RESULT = "gen_ai.tool.call.result"
TOOL_DEFINITIONS = "gen_ai.tool.definitions"
TOOL_DESCRIPTION = "gen_ai.tool.description"
TOOL_NAME = "gen_ai.tool.name"
TOOL_TYPE = "gen_ai.tool.type"
USAGE_CACHE_READ_TOKENS = "gen_ai.usage.cache_read.input_tokens"
USAGE_CACHE_WRITE_TOKENS = "gen_ai.usage.cache_write.input_tokens"
USAGE_INPUT_TOKENS = "gen_ai.usage.input_tokens"
USAGE_OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
USAGE_REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens"
WORKFLOW_NAME = "gen_ai.workflow.name"

EXCEPTION = "gen_ai.client.operation.exception"
EXCEPTION_MESSAGE = "exception.message"
EXCEPTION_TYPE = "exception.type"
INFERENCE_DETAILS = "gen_ai.client.inference.operation.details"

OPERATION_DURATION = "gen_ai.client.operation.duration"
TOKEN_USAGE = "gen_ai.client.token.usage"
TIME_TO_FIRST_CHUNK = "gen_ai.client.operation.time_to_first_chunk"
TIME_PER_OUTPUT_CHUNK = "gen_ai.client.operation.time_per_output_chunk"
TOOL_DURATION = "gen_ai.execute_tool.duration"
AGENT_DURATION = "gen_ai.invoke_agent.duration"
AGENT_INFERENCE_CALLS = "gen_ai.invoke_agent.inference_calls"
AGENT_TOOL_CALLS = "gen_ai.invoke_agent.tool_calls"
WORKFLOW_DURATION = "gen_ai.invoke_workflow.duration"

APPROVAL_SECONDS = "agentkit.approval.seconds"
CACHED = "agentkit.cached"
CONTENT_UPLOAD = "agentkit.content.upload"
COST_USD = "agentkit.cost.usd"
LIMIT = "agentkit.limit"
OUTCOME = "agentkit.outcome"
RELEASED = "agentkit.released"
RETRY = "agentkit.retry"
RETRY_ATTEMPT = "agentkit.retry.attempt"
RETRY_SECONDS = "agentkit.retry.seconds"
WAITS = "agentkit.waits"
WAITS_FOR = "agentkit.waits.for"
RUNS = "agentkit.runs"
SPENT = "agentkit.spent"

UNKNOWN_TOOL = "unknown_tool"
"""What metrics call the tools that a model makes up: each would be a time series of its own."""

Outcome: TypeAlias = Literal["completed", "handed_over", "paused", "limit", "guardrail", "cancelled", "failed"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """What is measured: a histogram with these buckets, or without any, a counter."""

    unit: str
    buckets: tuple[float, ...] = ()
    attributes: tuple[str, ...]
    """All that it may have; each of few values."""
    told: str


_SECONDS = tuple(0.01 * 2**n for n in range(14))
_CALL = (OPERATION_NAME, PROVIDER_NAME, REQUEST_MODEL, RESPONSE_MODEL, SERVER_ADDRESS, SERVER_PORT)

METRICS: Mapping[str, Metric] = {
    OPERATION_DURATION: Metric(
        unit="s", buckets=_SECONDS, attributes=(*_CALL, ERROR_TYPE), told="how long a model call takes"
    ),
    TOKEN_USAGE: Metric(
        unit="{token}",
        buckets=tuple(4.0**n for n in range(14)),
        attributes=(*_CALL, TOKEN_TYPE),
        told="tokens of a model call, `input` and `output`",
    ),
    TIME_TO_FIRST_CHUNK: Metric(
        unit="s", buckets=_SECONDS, attributes=(*_CALL, ERROR_TYPE), told="until a streamed answer begins"
    ),
    TIME_PER_OUTPUT_CHUNK: Metric(
        unit="s", buckets=_SECONDS, attributes=(*_CALL, ERROR_TYPE), told="between two pieces of a streamed answer"
    ),
    TOOL_DURATION: Metric(
        unit="s",
        buckets=_SECONDS,
        attributes=(TOOL_NAME, TOOL_TYPE, AGENT_NAME, ERROR_TYPE),
        told=f"how long a tool call takes; of a tool that does not exist, the name is `{UNKNOWN_TOOL}`",
    ),
    AGENT_DURATION: Metric(
        unit="s",
        buckets=tuple(0.1 * 2**n for n in range(13)),
        attributes=(AGENT_NAME, REQUEST_MODEL, ERROR_TYPE),
        told="how long an agent has the word",
    ),
    AGENT_INFERENCE_CALLS: Metric(
        unit="{inference_call}",
        buckets=tuple(2.0**n for n in range(8)),
        attributes=(AGENT_NAME,),
        told="its model calls",
    ),
    AGENT_TOOL_CALLS: Metric(
        unit="{tool_call}", buckets=tuple(2.0**n for n in range(8)), attributes=(AGENT_NAME,), told="its tool calls"
    ),
    WORKFLOW_DURATION: Metric(
        unit="s",
        buckets=(1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200),
        attributes=(WORKFLOW_NAME, ERROR_TYPE),
        told="how long a run takes in which agents may hand over",
    ),
    RUNS: Metric(unit="{run}", attributes=(AGENT_NAME, OUTCOME, LIMIT), told="runs that have ended, and how"),
    SPENT: Metric(
        unit="{USD}",
        attributes=(AGENT_NAME, PROVIDER_NAME, REQUEST_MODEL),
        told="US dollars that model calls have cost, where prices are known",
    ),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Own:
    """A name of agentkit's own."""

    name: str
    kind: Literal["attribute", "event", "metric"]
    on: str
    """What has it."""
    told: str


OWN: tuple[Own, ...] = (
    Own(
        name=OUTCOME,
        kind="attribute",
        on="run, `agentkit.runs`",
        told="how it ended: `completed`, `handed_over`, `paused`, `limit`, `guardrail`, `cancelled` or `failed`",
    ),
    Own(
        name=LIMIT,
        kind="attribute",
        on="run, `agentkit.runs`",
        told="the limit that it came to: `iterations`, `tokens`, `cost`, `seconds` ...",
    ),
    Own(
        name=COST_USD,
        kind="attribute",
        on="run, model",
        told="US dollars, where the agent has `prices` or a limit on cost; of a run, of all its model calls",
    ),
    Own(name=CACHED, kind="attribute", on="tool", told="true where the result comes out of the tool's cache"),
    Own(name=APPROVAL_SECONDS, kind="attribute", on="tool", told="how long the call waited for somebody's yes or no"),
    Own(
        name=CONTENT_UPLOAD,
        kind="attribute",
        on="model",
        told="where the whole of what was said was sent, if content is uploaded",
    ),
    Own(
        name=RETRY,
        kind="event",
        on="model",
        told=f"an attempt has failed, and there is another; with `{ERROR_TYPE}` and the next two",
    ),
    Own(name=RETRY_ATTEMPT, kind="attribute", on=f"`{RETRY}`", told="which attempt it was, from 1"),
    Own(name=RETRY_SECONDS, kind="attribute", on=f"`{RETRY}`", told="the pause before the next"),
    Own(
        name=WAITS,
        kind="event",
        on="run",
        told=f"the run pauses for a tool call; with `{TOOL_NAME}` and the next",
    ),
    Own(name=WAITS_FOR, kind="attribute", on=f"`{WAITS}`", told="`approval`, or `elsewhere`: a result from outside"),
    Own(
        name=RELEASED,
        kind="event",
        on="run",
        told="a server was told that nobody goes on from its answer, and has said what that used; in no sum of tokens",
    ),
    Own(name=RUNS, kind="metric", on="run", told=METRICS[RUNS].told),
    Own(name=SPENT, kind="metric", on="model", told=METRICS[SPENT].told),
)


def tables() -> str:
    """The tables of metrics and of agentkit's own names, as docs/telemetry.md has them."""
    metrics = (
        (f"`{name}`", f"`{each.unit}`", ", ".join(f"`{one}`" for one in each.attributes), each.told)
        for name, each in METRICS.items()
    )
    own = ((f"`{each.name}`", each.kind, each.on, each.told) for each in OWN)
    return "\n".join(
        [
            *_table(("metric", "unit", "attributes, where known", "is"), metrics),
            "",
            *_table(("name", "is an", "on", "says"), own),
        ]
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
