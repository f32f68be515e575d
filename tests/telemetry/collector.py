"""A real collector between an SDK and a sink of the test's own: what goes in as OTLP comes out as OTLP."""

import gzip
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, TypeAlias

import pytest
from exports import Exports, of_otlp

Protocol: TypeAlias = Literal["grpc", "http"]
PROTOCOLS: tuple[Protocol, ...] = ("grpc", "http")
_SECONDS = 20.0
"""What the collector may take to begin, and to end."""


@dataclass(kw_only=True, slots=True)
class Collector:
    """A collector that runs, and what has come out of it."""

    grpc: str
    """Where it takes OTLP over gRPC: host and port."""
    http: str
    """Where it takes OTLP over HTTP: the root of the URL."""
    process: "subprocess.Popen[bytes]"
    log: Path
    received: dict[str, list[bytes]] = field(default_factory=lambda: {"traces": [], "metrics": [], "logs": []})

    def exporters(self, protocol: Protocol) -> tuple[Any, Any, Any]:
        """An SDK's exporters of spans, metrics and logs to it."""
        if protocol == "grpc":
            from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
            from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

            at: dict[str, Any] = {"endpoint": self.grpc, "insecure": True}
            return OTLPSpanExporter(**at), OTLPMetricExporter(**at), OTLPLogExporter(**at)
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as Logs
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as Metrics
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as Spans

        return (
            Spans(endpoint=f"{self.http}/v1/traces"),
            Metrics(endpoint=f"{self.http}/v1/metrics"),
            Logs(endpoint=f"{self.http}/v1/logs"),
        )

    def stop(self) -> None:
        """Let it send what it has, and end."""
        self.process.terminate()
        try:
            self.process.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the collector did not end:\n{self.log.read_text()}") from None

    def exports(self) -> Exports:
        """What has come out, decoded."""
        from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
        from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        return of_otlp(
            [ExportTraceServiceRequest.FromString(body) for body in self.received["traces"]],
            [ExportMetricsServiceRequest.FromString(body) for body in self.received["metrics"]],
            [ExportLogsServiceRequest.FromString(body) for body in self.received["logs"]],
        )


@contextmanager
def collector(folder: Path) -> Iterator[Collector]:
    """A collector and its sink; both are gone afterwards."""
    binary = _binary()
    received: dict[str, list[bytes]] = {"traces": [], "metrics": [], "logs": []}
    with _sink(received) as sink:
        running = _started(binary, sink, folder)
        running.received = received
        try:
            yield running
        finally:
            if running.process.poll() is None:
                running.stop()


def _binary() -> Path:
    found = find_spec("rotel")
    if found is None or not found.submodule_search_locations:
        pytest.skip("no collector: `pip install rotel==0.0.1a15` has wheels for Linux on x86-64 only")
    binary = Path(found.submodule_search_locations[0], "rotel-agent")
    if not os.access(binary, os.X_OK):
        pytest.skip(f"no collector: {binary.name} is not in the installed rotel")
    pytest.importorskip("opentelemetry.exporter.otlp.proto.grpc", reason="`pip install opentelemetry-exporter-otlp`")
    return binary


def _started(binary: Path, sink: str, folder: Path) -> Collector:
    told = ""
    for attempt in range(3):  # another program may take a port before the collector does
        grpc, http = (f"127.0.0.1:{port}" for port in _free_ports(2))
        log = folder / f"collector{attempt}.log"
        arguments = {
            "exporter": "otlp",
            "otlp-exporter-protocol": "http",
            "otlp-exporter-endpoint": sink,
            "otlp-grpc-endpoint": grpc,
            "otlp-http-endpoint": http,
            "batch-timeout": "50ms",
            "pid-file": str(folder / "collector.pid"),
            "log-file": str(log),
        }
        command = [str(binary), "start", *(word for name, value in arguments.items() for word in (f"--{name}", value))]
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("ROTEL_", "OTEL_"))}
        with log.open("wb") as out:
            process = subprocess.Popen(
                command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=clean
            )
        running = Collector(grpc=grpc, http=f"http://{http}", process=process, log=log)
        if _is_ready(process, (grpc, http)):
            return running
        if process.poll() is None:
            running.stop()
        told = log.read_text("utf-8", "replace")
    raise AssertionError(f"the collector does not begin:\n{told}")


def _is_ready(process: "subprocess.Popen[bytes]", places: tuple[str, ...]) -> bool:
    until, left, pause = time.monotonic() + _SECONDS, list(places), threading.Event()
    while left and process.poll() is None and time.monotonic() < until:
        host, port = left[0].split(":")
        with suppress(OSError), socket.create_connection((host, int(port)), 1):
            left.pop(0)
            continue
        pause.wait(0.01)
    return not left and process.poll() is None


def _free_ports(count: int) -> list[int]:
    with socket.socket() as first, socket.socket() as second:
        for each in (first, second):
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in (first, second)][:count]


@contextmanager
def _sink(received: dict[str, list[bytes]]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            received[self.path.rsplit("/", 1)[-1]].append(body)
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *given: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = False

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
