"""The whole content of model calls, sent elsewhere: in threads, so that no event loop waits, and nothing piles up."""

import atexit
import os
import sys
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from inspect import iscoroutine, iscoroutinefunction
from pathlib import Path
from threading import Condition, Thread
from typing import Any, TypeAlias
from urllib.parse import urlsplit
from uuid import uuid4

from agentkit.errors import ConfigError

from . import quiet
from .content_size import compact
from .nothing import UPLOADS

_Document: TypeAlias = Callable[[], Mapping[str, Any]]
BASE_PATH = "OTEL_INSTRUMENTATION_GENAI_UPLOAD_BASE_PATH"
FLUSH_SECONDS = 10.0


class Upload:
    """Sends the content of each model call to a place of the application's own, as one JSON document.

    The span says where it is. What cannot be sent is lost, and that is logged: a run never waits for it.
    """

    def __init__(
        self, put: Callable[[str, bytes], object], *, base: str = "", threads: int = 2, waiting: int = 200
    ) -> None:
        """Nothing is started before there is something to send.

        Args:
            put: Called with a name, `TRACE_ID/SPAN_ID.json`, and the document; in a thread.
            base: What spans say before the name: `s3://bucket/prompts/`.
            threads: How many are sent at once.
            waiting: How many wait to be sent; further ones are lost.

        Raises:
            ConfigError: it cannot be done so.
        """
        if iscoroutinefunction(put):
            raise ConfigError(
                f"Upload({put!r:.60}): give a plain function of a name and bytes; it is called in a thread"
            )
        if threads < 1 or waiting < 1:
            raise ConfigError("Upload(threads=..., waiting=...): whole numbers from 1 on")
        self._put = put
        self._base = base
        self._threads = threads
        self._waiting = waiting
        self.lost = 0
        """How many documents could not be sent."""
        self._begin()
        self._is_kept = False

    @classmethod
    def folder(cls, path: str | Path) -> "Upload":
        """Into a folder on this machine, a folder for each trace."""
        folder = Path(path).absolute()

        def put(name: str, data: bytes) -> None:
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            part = file.with_suffix(f".{uuid4().hex}")
            part.write_bytes(data)
            part.replace(file)

        return cls(put, base=folder.as_uri() + "/")

    @classmethod
    def of_environment(cls) -> "Upload | None":
        """What the variables of OpenTelemetry's own instrumentations ask for: a folder on this machine.

        They could name other places and hooks too, which are left to `Upload(put)`; that is logged.
        """
        hook, base = (os.environ.get(name, "").strip() for name in (UPLOADS, BASE_PATH))
        if not hook:
            return None
        path = _path(base) if base.lower().startswith("file://") else base
        if hook != "upload" or not path or "://" in path:
            quiet.warn(
                f"{UPLOADS} and {BASE_PATH} are heeded for 'upload' into a folder only; for all else give Upload(put)"
            )
            return None
        return _folder(path)

    def __repr__(self) -> str:
        return f"Upload(base={self._base!r})"

    def send(self, ids: Mapping[str, str], document: _Document) -> str | None:
        """Have a document made and sent, later.

        Args:
            ids: `trace_id` and `span_id`.
            document: Makes it, in a thread.

        Returns:
            Where it will be; None if too many wait already.
        """
        self._be_here()
        name = f"{ids['trace_id']}/{ids['span_id']}.json"
        if not int(ids["span_id"], 16):  # nobody makes spans here
            name = f"{uuid4().hex}.json"
        with self._changed:
            if len(self._queue) >= self._waiting:
                self._lose("too many wait to be sent")
                return None
            self._queue.append((name, ids, document))
            is_more = self._running < self._threads
            self._running += is_more
        if not self._is_kept:
            self._is_kept = True
            atexit.register(self.flush)
        if is_more and not self._started():
            return None
        return self._base + name

    def flush(self, seconds: float = FLUSH_SECONDS) -> bool:
        """Wait until all is sent, at most so long; whether it is. The program's exit does that too."""
        self._be_here()
        with self._changed:
            return self._changed.wait_for(lambda: not self._running, seconds)

    def _be_here(self) -> None:
        """A process that was forked has none of its parent's threads, and what waits is the parent's affair."""
        if self._process != os.getpid():
            self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._queue: deque[tuple[str, Mapping[str, str], _Document]] = deque()
        self._changed = Condition()
        self._running = 0

    def _started(self) -> bool:
        try:
            Thread(target=self._work, name="agentkit-upload", daemon=True).start()
        except RuntimeError:  # the interpreter is on its way out
            with self._changed:
                self._running -= 1
                lost = 0 if self._running else len(self._queue)
                for _ in range(lost):
                    self._queue.pop()
                    self._lose("the program ends")
            return not lost
        return True

    def _work(self) -> None:
        """Send what waits, until nothing does."""
        while True:
            with self._changed:
                if not self._queue:
                    self._running -= 1
                    self._changed.notify_all()
                    return
                name, ids, document = self._queue.popleft()
            try:
                with _untraced():
                    sent = self._put(name, compact({**ids, **document()}).encode())
                if iscoroutine(sent):
                    sent.close()
                    raise TypeError("it is async")
            except BaseException as error:  # of a thread, a cancellation too: else nothing was sent any more
                with self._changed:
                    self._lose(type(error).__name__)

    def _lose(self, why: str) -> None:
        self.lost += 1
        if self.lost == 1:
            quiet.log.warning("the content of a model call could not be sent (%s); more of these are not logged", why)


def _path(url: str) -> str:
    from urllib.request import url2pathname  # on first use: it costs as much as a tenth of `import agentkit`

    return url2pathname(urlsplit(url).path)


def _untraced() -> AbstractContextManager[object]:
    """Where instrumentations of HTTP clients make no spans: there would be one for each document."""
    found = sys.modules.get("opentelemetry.instrumentation.utils")
    suppressed: AbstractContextManager[object] = found.suppress_instrumentation() if found else nullcontext()
    return suppressed


@lru_cache(maxsize=8)
def _folder(path: str) -> Upload:
    """One for all agents: they share its threads."""
    return Upload.folder(path)
