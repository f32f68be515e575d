"""Programs that call `configure`, and what a collector gets of them."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import create_server
from threading import Thread
from typing import Any

import pytest
from collector import collector
from opentelemetry import trace

from agentkit import ConfigError
from agentkit.telemetry.environment import exporters
from agentkit.telemetry.setup import configure

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="needs pip install opentelemetry-exporter-otlp")

from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs_v1
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_v1
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_v1

SECONDS = 60
"""For a program that hangs."""

ALL_SIGNALS = """
from opentelemetry import _logs, metrics, trace

def one_of_each():
    with trace.get_tracer("t").start_as_current_span("hello"):
        pass
    metrics.get_meter("t").create_counter("greetings").add(1)
    _logs.get_logger("t").emit(_logs.LogRecord(body="hey"))
"""

REQUESTS: Mapping[str, Any] = {
    "/v1/traces": trace_v1.ExportTraceServiceRequest,
    "/v1/metrics": metrics_v1.ExportMetricsServiceRequest,
    "/v1/logs": logs_v1.ExportLogsServiceRequest,
}


class Sink(ThreadingHTTPServer):
    """Takes OTLP over HTTP, and keeps it."""

    daemon_threads = True

    def __init__(self, status: int = 200) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = status
        self.got: list[tuple[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def resources(self) -> list[tuple[str, dict[str, str]]]:
        """Of each request, which signal it was and what it says of the program."""
        found = []
        for path, request in self.got:
            [of_resource] = next(iter(request.ListFields()))[1]
            found.append((path, {each.key: each.value.string_value for each in of_resource.resource.attributes}))
        return found

    def spans(self) -> list[Any]:
        requests = [request for path, request in self.got if path == "/v1/traces"]
        scopes = [scope for each in requests for of in each.resource_spans for scope in of.scope_spans]
        return [span for scope in scopes for span in scope.spans]


class _Handler(BaseHTTPRequestHandler):
    server: Sink

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, REQUESTS[self.path].FromString(body)))
        self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None: ...


@pytest.fixture
def sink() -> Iterator[Sink]:
    made = Sink()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def silent() -> Iterator[str]:
    """A collector that takes connections and never answers."""
    with create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def nobody() -> str:
    """Where nobody listens."""
    with create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def run(program: str, endpoint: str = "", /, *, script: Path | None = None, **variables: str) -> tuple[str, str]:
    """What a program prints, to both; it must end well. Nothing is sent in the middle of it, unless it says so."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    environment |= {"OTEL_BSP_SCHEDULE_DELAY": "600000", "OTEL_BLRP_SCHEDULE_DELAY": "600000", **variables}
    if endpoint:
        environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint
    text = f"from agentkit.telemetry.setup import configure\n{ALL_SIGNALS}\n{program}"
    if script is not None:
        script.write_text(text, encoding="utf-8")
    command = [sys.executable, "-W", "error", *([str(script)] if script else ["-c", text])]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def test_a_short_program_sends_all_three_signals_when_it_exits(sink: Sink) -> None:
    """Spans, metrics and log records, each with the service's name and the same instance."""
    assert run("configure('shop'); one_of_each()", sink.url) == ("", "")
    assert Counter(path for path, _ in sink.got) == dict.fromkeys(REQUESTS, 1)
    resources = [resource for _, resource in sink.resources()]
    assert {resource["service.name"] for resource in resources} == {"shop"}
    assert len({resource["service.instance.id"] for resource in resources}) == 1
    assert [span.name for span in sink.spans()] == ["hello"]


def test_a_program_that_fails_sends_what_it_has(sink: Sink) -> None:
    """An exception, or sys.exit, ends it as an end does."""
    run("import sys\nconfigure('shop'); one_of_each(); sys.exit()", sink.url)
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        run("configure('shop'); one_of_each(); 1 / 0", sink.url)
    assert [span.name for span in sink.spans()] == ["hello", "hello"]


def test_an_agents_run_is_seen_by_the_collector(sink: Sink) -> None:
    """Also where the agent was made before `configure` was called."""
    program = """
import anyio
from agentkit import Agent
from agentkit.testing import ScriptedModel
clerk = Agent(ScriptedModel(["Three.", "Four."]), name="clerk")
anyio.run(clerk.run, "How many?")
configure("shop")
anyio.run(clerk.run, "How many?")
"""
    run(program, sink.url)
    assert [span.name for span in sink.spans()] == ["chat scripted", "invoke_agent clerk"]


def test_grpc_is_spoken_where_the_variables_say_so() -> None:
    """By OTEL_EXPORTER_OTLP_PROTOCOL."""
    grpc = pytest.importorskip("grpc", reason="needs pip install opentelemetry-exporter-otlp")
    got = []

    def export(request: Any, _: object) -> Any:
        got.append(request.resource_spans[0].scope_spans[0].spans[0].name)
        return trace_v1.ExportTraceServiceResponse()

    method = grpc.unary_unary_rpc_method_handler(
        export,
        request_deserializer=trace_v1.ExportTraceServiceRequest.FromString,
        response_serializer=trace_v1.ExportTraceServiceResponse.SerializeToString,
    )
    service = "opentelemetry.proto.collector.trace.v1.TraceService"
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {"Export": method})])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    only_traces = {"OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}
    program = "configure('shop'); one_of_each()"
    said = run(program, f"http://127.0.0.1:{port}", OTEL_EXPORTER_OTLP_PROTOCOL="grpc", **only_traces)
    server.stop(None).wait()
    assert said == ("", "")
    assert got == ["hello"]


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_real_collector_takes_all_three_signals(protocol: str, tmp_path: Path) -> None:
    """Which hands them on."""
    with collector(tmp_path) as running:
        endpoint = f"http://{running.grpc}" if protocol == "grpc" else running.http
        said = run("configure('shop'); one_of_each()", endpoint, OTEL_EXPORTER_OTLP_PROTOCOL=protocol)
        running.stop()
    assert said == ("", "")
    assert all(b"shop" in running.received[signal][0] for signal in ("traces", "metrics", "logs"))


def test_the_endpoints_port_says_grpc_where_no_variable_says_the_protocol() -> None:
    """4317 is that of gRPC in all collectors; any other is taken for HTTP."""
    variable = "OTEL_EXPORTER_OTLP_ENDPOINT"
    assert exporters({variable: "http://collector:4317"}, "traces") == ("otlp_proto_grpc",)
    assert exporters({variable: "http://collector:4318"}, "traces") == ("otlp_proto_http",)
    assert exporters({variable: ""}, "traces") == ("otlp_proto_http",)
    own = {variable: "http://collector:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
    assert exporters(own, "traces") == ("otlp_proto_http",)


def test_a_signal_has_its_own_variables(sink: Sink) -> None:
    """Endpoint, headers, exporter: what is said for one signal goes before what is said for all."""
    run(
        "configure('shop'); one_of_each()",
        nobody(),
        OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
        OTEL_EXPORTER_OTLP_TRACES_PROTOCOL="http/protobuf",
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{sink.url}/v1/traces",
        OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20all",
        OTEL_EXPORTER_OTLP_TRACES_HEADERS="authorization=Bearer%20traces",
        OTEL_METRICS_EXPORTER="none",
        OTEL_LOGS_EXPORTER="none",
    )
    assert [path for path, _ in sink.got] == ["/v1/traces"]
    assert sink.headers[0]["authorization"] == "Bearer traces"


def test_the_service_is_called_what_is_said_first(sink: Sink, tmp_path: Path) -> None:
    """The argument, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, the script's name; other attributes stay."""
    attributes = "service.name=attributes,service.instance.id=7,deployment.environment.name=test"
    one = {"OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}
    run("configure('argument'); one_of_each()", sink.url, OTEL_SERVICE_NAME="variable", **one)
    run(
        "configure(); one_of_each()", sink.url, OTEL_SERVICE_NAME="variable", OTEL_RESOURCE_ATTRIBUTES=attributes, **one
    )
    run("configure(); one_of_each()", sink.url, OTEL_RESOURCE_ATTRIBUTES=attributes, **one)
    run("configure(); one_of_each()", sink.url, script=tmp_path / "shop.py", **one)
    run("configure(); one_of_each()", sink.url, **one)
    found = [resource for _, resource in sink.resources()]
    assert [each["service.name"] for each in found] == ["argument", "variable", "attributes", "shop", "python"]
    assert found[2]["service.instance.id"] == "7"
    assert found[2]["deployment.environment.name"] == "test"


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_collector_that_never_answers_does_not_keep_a_program_alive(silent: str, protocol: str) -> None:
    """Its exporters would wait for a quarter of an hour; the program says once what it gave up, and ends."""
    waits = {"OTEL_EXPORTER_OTLP_PROTOCOL": protocol, "OTEL_EXPORTER_OTLP_TIMEOUT": "900"}
    out, err = run("configure('shop', exit_seconds=0.2); one_of_each(); print('done')", silent, **waits)
    assert out == "done\n"
    assert err == "telemetry is lost, since it was not sent within 0.2 seconds\n"


def test_a_flush_that_takes_too_long_is_given_up(silent: str) -> None:
    """Flush says so, and the program goes on, ends, and is not held up again for longer than it allows."""
    program = "with configure('shop', exit_seconds=0.2) as s:\n one_of_each(); print(s.flush(0.2))\nprint(s.shutdown())"
    assert run(program, silent, OTEL_EXPORTER_OTLP_TIMEOUT="900")[0] == "False\nTrue\n"


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_collector_that_is_gone_is_told_once_and_not_at_each_attempt(protocol: str) -> None:
    """A line for each exporter, with what the trouble is; no traceback, however often it fails."""
    program = """
import logging
logging.basicConfig(format="%(message)s")
setup = configure("shop", exit_seconds=0.2)
for _ in range(5):
    one_of_each()
    print(setup.flush(30))
"""
    quick = {"OTEL_EXPORTER_OTLP_PROTOCOL": protocol, "OTEL_EXPORTER_OTLP_TIMEOUT": "0.2"}
    out, err = run(program, nobody(), **quick)
    assert out == "False\n" * 5
    troubles = [line for line in err.splitlines() if not line.startswith("telemetry is lost")]
    assert 1 <= len(troubles) <= len(REQUESTS)
    assert all(line.startswith("telemetry is not delivered") for line in troubles), err


def test_a_refused_export_is_told_with_its_status_and_without_its_key() -> None:
    """A query may hold a key, and what a library says of the address is logged."""
    refusing = Sink(status=403)
    only = {"OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}
    _, err = run("configure('shop'); one_of_each()", refusing.url, **only)
    assert "code: 403" in err
    address = f"{nobody()}/v1/traces?key=s3cret"
    only |= {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": address, "OTEL_EXPORTER_OTLP_TIMEOUT": "5"}
    _, err = run("configure('shop', exit_seconds=0.2); one_of_each()", **only)
    assert "Connection refused" in err
    assert "s3cret" not in err


def test_the_exporters_loggers_are_left_to_an_application_that_has_set_them_up() -> None:
    """A level or a handler of its own stays as it is."""
    program = """
import logging
logging.basicConfig(format="%(name)s")
logging.getLogger("opentelemetry.exporter").setLevel("ERROR")
configure("shop")
one_of_each()
"""
    _, err = run(program, nobody(), OTEL_EXPORTER_OTLP_TIMEOUT="0.2")
    assert "opentelemetry.exporter.otlp.proto.http.trace_exporter" in err.splitlines()


def test_nothing_is_set_up_where_opentelemetry_is_switched_off(sink: Sink) -> None:
    """OTEL_SDK_DISABLED: no provider, no thread, nothing sent; what is given can be used all the same."""
    program = """
import threading
with configure("shop") as setup:
    one_of_each()
    print(setup.flush(), type(trace.get_tracer_provider()).__name__, threading.active_count())
"""
    assert run(program, sink.url, OTEL_SDK_DISABLED="TRUE")[0] == "True ProxyTracerProvider 1\n"
    assert not sink.got


def test_a_signal_without_exporters_has_no_provider(sink: Sink) -> None:
    """OTEL_..._EXPORTER=none: spans that nobody wants cost nothing."""
    program = "configure('shop'); one_of_each(); print(type(trace.get_tracer_provider()).__name__)"
    assert run(program, sink.url, OTEL_TRACES_EXPORTER="none")[0] == "ProxyTracerProvider\n"
    assert sorted(path for path, _ in sink.got) == ["/v1/logs", "/v1/metrics"]


def test_several_exporters_get_the_same(sink: Sink) -> None:
    """OTEL_TRACES_EXPORTER=otlp,console."""
    rest = {"OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}
    out, _ = run("configure('shop'); one_of_each()", sink.url, OTEL_TRACES_EXPORTER="otlp, console", **rest)
    assert '"name": "hello"' in out
    assert [span.name for span in sink.spans()] == ["hello"]


def test_an_applications_own_provider_is_never_touched(sink: Sink) -> None:
    """`configure` says what there is, and sets up the rest only if it is asked for the rest only."""
    program = """
import os
from agentkit import ConfigError
from opentelemetry.sdk.trace import TracerProvider
own = TracerProvider()
trace.set_tracer_provider(own)
try:
    configure("shop")
except ConfigError as error:
    print(error)
print(trace.get_tracer_provider() is own, type(metrics.get_meter_provider()).__name__)
os.environ["OTEL_TRACES_EXPORTER"] = "none"
configure("shop")
one_of_each()
"""
    out, _ = run(program, sink.url)
    said, then = out.splitlines()
    assert said == (
        "the application has set a tracer provider of its own (opentelemetry.sdk.trace.TracerProvider), and agentkit "
        "uses that: leave configure() out, or set OTEL_TRACES_EXPORTER=none to have the rest set up"
    )
    assert then == "True _ProxyMeterProvider"
    assert sorted(path for path, _ in sink.got) == ["/v1/logs", "/v1/metrics"]


def test_a_second_call_gives_the_same_set_up_or_says_why_not(sink: Sink) -> None:
    """A notebook's cell may be run again; another name, or a set-up that has ended, is a mistake."""
    program = """
from agentkit import ConfigError
first = configure("shop")
print(configure() is first, configure("shop") is first)
for again in ("bank", "shop"):
    try:
        configure(again)
    except ConfigError as error:
        print(error)
    first.shutdown()
"""
    same, other, ended = run(program, sink.url)[0].splitlines()
    assert same == "True True"
    assert "'shop'" in other
    assert "'bank'" in other
    assert "has been shut down" in ended


def test_what_is_flushed_arrives_before_the_program_ends(sink: Sink) -> None:
    """`flush` at the end of a job, in a worker that lives on."""
    program = """
import os
setup = configure("worker", exit_seconds=0.2)
one_of_each()
print(setup.flush(), flush=True)
os._exit(0)
"""
    assert run(program, sink.url)[0] == "True\n"
    assert Counter(path for path, _ in sink.got) == dict.fromkeys(REQUESTS, 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes do not fork here")
def test_a_forked_process_sends_its_own_as_another_instance(sink: Sink) -> None:
    """Its threads are new, and what its parent had not sent yet is not sent twice."""
    program = """
import os
setup = configure("shop")
one_of_each()
child = os.fork()
if not child:
    with trace.get_tracer("t").start_as_current_span("from the child"):
        pass
    setup.flush()
    os._exit(0)
os.waitpid(child, 0)
"""
    run(program, sink.url, OTEL_METRICS_EXPORTER="none", OTEL_LOGS_EXPORTER="none")
    assert [span.name for span in sink.spans()] == ["from the child", "hello"]
    of_child, of_parent = (resource["service.instance.id"] for _, resource in sink.resources())
    assert of_child != of_parent


WRONG: Mapping[str, tuple[Mapping[str, str], str]] = {
    "protocol": (
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"},
        "OTEL_EXPORTER_OTLP_PROTOCOL is 'http/json'; take one of grpc, http/protobuf",
    ),
    "protocol of one signal": (
        {"OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "GRPC"},
        "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL is 'GRPC'; take one of grpc, http/protobuf",
    ),
    "no scheme": (
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"},
        "OTEL_EXPORTER_OTLP_ENDPOINT is 'collector:4317'; it has to be like http://collector:4318",
    ),
    "no port": (
        {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://collector:x?key=s3cret"},
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT is 'http://collector:x'; it has to be like http://collector:4318",
    ),
    "password": (
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://ann:s3cret@collector:4318"},
        "OTEL_EXPORTER_OTLP_ENDPOINT has a name or a password in it, which would be logged; put it in "
        "OTEL_EXPORTER_OTLP_HEADERS",
    ),
    "header": (
        {"OTEL_EXPORTER_OTLP_HEADERS": "a=b,Bearer s3cret"},
        "OTEL_EXPORTER_OTLP_HEADERS: part 2 has no '='; write it like name=value,name=value",
    ),
    "exporter": (
        {"OTEL_TRACES_EXPORTER": "zipkin2"},
        "OTEL_TRACES_EXPORTER: there is no 'zipkin2'; take otlp, console or none, or install it",
    ),
    "certificate": (
        {"OTEL_EXPORTER_OTLP_CERTIFICATE": "nowhere.pem"},
        "OTEL_EXPORTER_OTLP_CERTIFICATE is 'nowhere.pem'; there is no such file",
    ),
    "queue": (
        {"OTEL_BSP_MAX_QUEUE_SIZE": "0"},
        "an OTEL_* variable of the traces is wrong: max_queue_size must be a positive integer.",
    ),
    "none of two": (
        {"OTEL_LOGS_EXPORTER": "otlp,none"},
        "OTEL_LOGS_EXPORTER is 'otlp,none'; 'none' stands alone",
    ),
    "timeout": (
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_TIMEOUT": "soon"},
        "an OTEL_EXPORTER_* variable is wrong: the exporter of traces says: could not convert string to float: 'soon'",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_variable_that_cannot_be_is_named_before_anything_is_set_up(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no message shows a key."""
    variables, expected = WRONG[case]
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as raised:
        configure("shop")
    assert str(raised.value) == expected
    assert type(trace.get_tracer_provider()).__name__ == "ProxyTracerProvider"


def test_without_the_exporters_the_error_says_what_to_install(tmp_path: Path) -> None:
    """A Python that has all of this one's packages but the exporters."""
    for folder in map(Path, sys.path):
        if folder.name == "site-packages":
            for each in folder.iterdir():
                if not each.name.startswith("opentelemetry_exporter_otlp") and each.suffix != ".pth":
                    (tmp_path / each.name).symlink_to(each)
    root = Path(__file__).parents[2]
    program = "from agentkit.telemetry.setup import configure; configure('shop')"
    done = subprocess.run(
        [sys.executable, "-S", "-c", program],
        env={"PYTHONPATH": os.pathsep.join([str(tmp_path), str(root)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ConfigError: the exporters are not installed: pip install opentelemetry-exporter-otlp" in done.stderr
