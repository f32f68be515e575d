"""Each step of a run is a step of the DBOS workflow around it.

What a step came to is in DBOS's database before the run goes on. A workflow that is taken up again, after its process
has died, runs from the beginning; its steps give what they came to before, and nothing is asked or called again, save
what was going on when the process died. Source: https://docs.dbos.dev/python/tutorials/workflow-tutorial
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from agentkit.errors import ConfigError
from agentkit.recording.described import Describer, dumped, read, rebuilt

if TYPE_CHECKING:
    from dbos import StepReservation

T = TypeVar("T")

INSTALL = "durable runs need DBOS: pip install dbos"


class DurableSteps:
    """The steps of one run: `agent.run(..., steps=DurableSteps())`, inside a function with `@DBOS.workflow()`.

    A tool call that was going on when the process died is made again: give what must not happen twice the key
    `ctx.idempotency_key`.

    Raises:
        ConfigError: DBOS is not installed, or this is no workflow.
    """

    def __init__(self) -> None:
        try:
            import dbos
        except ImportError as error:
            raise ConfigError(INSTALL) from error
        if dbos.DBOS.workflow_id is None:
            raise ConfigError(
                "DurableSteps are for a run inside a workflow: call agent.run in a function with @DBOS.workflow()"
            )
        self.run_id = dbos.DBOS.workflow_id
        """The run is called as its workflow is, so that its calls have the same keys when it is taken up again."""
        self._reserve: Callable[[], StepReservation] = dbos.DBOS.reserve_step
        self._describer = Describer()

    def reserve(self, name: str, kind: type[T]) -> Callable[[Callable[[], Awaitable[T]]], Awaitable[T]]:
        """See `Steps`."""
        reserved = self._reserve()

        async def run(work: Callable[[], Awaitable[T]]) -> T:
            raised: list[Exception] = []

            async def body() -> dict[str, Any]:
                try:
                    return {"result": dumped(kind, await work())}
                except Exception as error:  # as a value: what was raised is raised again when the run is taken up
                    raised.append(error)
                    return {"error": self._describer.error(error)}

            told = await reserved.run_async({"name": name, "preemptible": True}, body)
            if raised:
                raise raised[0]
            if "error" in told:
                raise rebuilt(told["error"])
            result: T = read(kind, told["result"])
            return result

        return run
