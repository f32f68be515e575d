"""A server on this machine that answers what a test tells it to, byte by byte, and a port that must stay silent."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

Answer: TypeAlias = "bytes | Callable[[Peer], None]"
SECONDS = 20
"""For a test that hangs."""


class Peer:
    """Who has asked, and is being answered."""

    def __init__(self, connection: socket.socket, gone: threading.Event) -> None:
        self.connection = connection
        self.gone = gone
        """Set when the test is over."""

    def send(self, data: bytes) -> bool:
        """Send something; whether the other side still takes it."""
        try:
            self.connection.sendall(data)
        except OSError:
            return False
        return True

    def drip(self, data: bytes) -> None:
        """Send something over and over, slowly, until the other side has gone."""
        while self.send(data) and not self.gone.wait(0.02):
            pass

    def flood(self, data: bytes) -> None:
        """Send something over and over, until the other side has gone."""
        while self.send(data) and not self.gone.is_set():
            pass


class Server:
    """Answers by path, and keeps what it was asked."""

    def __init__(self, answers: Mapping[str, Answer], certificate: Path | None, host: str) -> None:
        self.answers = dict(answers)
        self.requests: list[str] = []
        self.names: list[str | None] = []
        """The names that were asked for in TLS."""
        self.gone = threading.Event()
        self._listener = socket.create_server((host, 0))
        self._tls = None
        if certificate:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(certificate)
            self._tls.sni_callback = lambda _, name, __: self.names.append(name)
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}{path}"

    def close(self) -> None:
        self.gone.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(SECONDS)
            assert not thread.is_alive(), "somebody holds a connection to the server"

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(SECONDS)
        with suppress(OSError), connection:
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection:
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            data = connection.recv(65536)
            if not data:
                return
            request += data
        self.requests.append(request.decode("ascii"))
        answer = self.answers[request.split(b" ")[1].decode("ascii")]
        if isinstance(answer, bytes):
            connection.sendall(answer)
        else:
            answer(Peer(connection, self.gone))


@contextmanager
def serving(
    answers: Mapping[str, Answer] | None = None, certificate: Path | None = None, host: str = "127.0.0.1"
) -> Iterator[Server]:
    """A server, for as long as the block runs."""
    server = Server(answers or {}, certificate, host)
    try:
        yield server
    finally:
        server.close()


@contextmanager
def silence(host: str = "127.0.0.1") -> Iterator[int]:
    """A port at which nobody may knock while the block runs."""
    with socket.create_server((host, 0)) as listener:
        listener.setblocking(False)
        yield listener.getsockname()[1]
        try:
            connection, who = listener.accept()
        except BlockingIOError:
            return
        connection.close()
        raise AssertionError(f"{who} has connected")


def http(body: bytes = b"", *headers: str, status: str = "200 OK", kind: str = "text/html; charset=utf-8") -> bytes:
    """A whole answer, with its length."""
    lines = [
        f"HTTP/1.1 {status}",
        f"Content-Length: {len(body)}",
        *([f"Content-Type: {kind}"] if kind else []),
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def redirect(where: str, status: str = "302 Found") -> bytes:
    return http(b"", f"Location: {where}", status=status)
