"""Work that several processes share: what one of them has begun when it dies, another one goes on with.

The processes are known by locks in PostgreSQL that end with their connections: whoever can take the lock of a process
knows that it is dead, and puts its work into the queue.
"""

import secrets
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from logging import getLogger
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from agentkit.errors import ConfigError

from .steps import INSTALL

if TYPE_CHECKING:
    from psycopg import AsyncConnection

_QUEUE, _WORK = "agentkit", "agentkit.work"
_LOCKS = 1_634_036_852
"""Which of PostgreSQL's advisory locks are those of processes."""
_ATTEMPTS = 10
"""How often work is taken up again before it is given up: it may be what kills the processes."""


@dataclass(kw_only=True)
class SharedWork:
    """Work that is begun once, and done to its end by whichever process lives. There is one in a process.

    Raises:
        ConfigError: DBOS is not installed.
    """

    url: str
    """The PostgreSQL database, `postgresql://user:password@host/database`."""
    name: str
    """The application's, of at least three characters: `a` to `z`, digits, `-` and `_`."""
    version: str
    """Work is only gone on with by processes of the version that has begun it."""
    do: Callable[..., Awaitable[None]]
    """Does it; its arguments are JSON. When it is taken up again it runs from its beginning, see `DurableSteps`."""
    at_once: int = 1000
    """How much of what was taken over one process does at the same time."""
    process: str = field(default_factory=lambda: secrets.token_hex(8))
    """What this process is called."""
    _lock: "AsyncConnection[Any] | None" = None
    _workflow: Any = None

    async def open(self) -> None:
        """Begin to do what there is to be done."""
        try:
            from dbos import DBOS, DBOSPortableJSONSerializer
        except ImportError as error:
            raise ConfigError(INSTALL) from error

        async def work(*given: Any) -> None:
            await self.do(*given)

        self._lock = await self._locked()
        DBOS(
            config={
                "name": self.name,
                "system_database_url": self.url,
                "executor_id": self.process,
                "application_version": self.version,
                "serializer": DBOSPortableJSONSerializer(),
                "log_level": "ERROR",
            }
        )
        self._workflow = DBOS.workflow(name=_WORK, max_recovery_attempts=_ATTEMPTS)(work)
        DBOS.launch()
        await DBOS.register_queue_async(_QUEUE, worker_concurrency=self.at_once, polling_interval_sec=0.1)

    async def close(self) -> None:
        """Leave what goes on to the other processes."""
        from dbos import DBOS

        await anyio.to_thread.run_sync(DBOS.destroy)
        if self._lock is not None:
            await self._lock.close()

    async def start(self, key: str, *given: Any) -> None:
        """Have work done, here and now; nothing happens if there is work of this key already."""
        from dbos import DBOS, SetWorkflowID

        with SetWorkflowID(key):
            await DBOS.start_workflow_async(self._workflow, *given)

    async def watch(self, seconds: float = 1.0) -> None:
        """Look every so many seconds, for ever, for what dead processes have left, and put it into the queue."""
        while True:
            try:
                await self.take_over()
            except Exception as error:
                getLogger("agentkit").warning("nobody can be asked for work that was left: %s", type(error).__name__)
            await anyio.sleep(seconds)

    async def take_over(self) -> int:
        """Put what dead processes have left into the queue; how much there was."""
        from dbos import DBOS

        pending = await DBOS.list_workflows_async(status="PENDING", name=_WORK, load_input=False)
        left: dict[str, list[str]] = {}
        for each in pending:
            if each.executor_id and each.executor_id != self.process:
                left.setdefault(each.executor_id, []).append(each.workflow_id)
        dead = await self._dead(left)
        for process in dead:
            await DBOS.resume_workflows_async(left[process], queue_name=_QUEUE)
        return sum(len(left[process]) for process in dead)

    async def _locked(self) -> "AsyncConnection[Any]":
        """The connection with which this process lives."""
        from psycopg import AsyncConnection

        connection = await AsyncConnection.connect(self.url, autocommit=True)
        await connection.execute("SELECT pg_advisory_lock(%s, hashtext(%s))", (_LOCKS, self.process))
        return connection

    async def _dead(self, processes: Iterable[str]) -> list[str]:
        """Those of the processes that do not live."""
        if self._lock is None or self._lock.closed:
            self._lock = await self._locked()
        dead = []
        for process in processes:
            tried = await self._lock.execute("SELECT pg_try_advisory_lock(%s, hashtext(%s))", (_LOCKS, process))
            row = await tried.fetchone()
            if row is not None and row[0]:
                await self._lock.execute("SELECT pg_advisory_unlock(%s, hashtext(%s))", (_LOCKS, process))
                dead.append(process)
        return dead
