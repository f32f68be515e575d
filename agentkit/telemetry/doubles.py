"""One span for a model call, also where the application has the openai SDK instrumented.

agentkit takes the SDK's client for bytes. Of the instrumentations, `opentelemetry-instrumentation-genai-openai` and
`opentelemetry-instrumentation-openai` see the SDK's typed methods only, and so nothing of agentkit.
`openinference-instrumentation-openai` sees each request, and would make a span of its own inside that of agentkit.
"""

import sys
from contextlib import AbstractContextManager

_SEES_REQUESTS = "openinference.instrumentation.openai"


def alone() -> AbstractContextManager[object] | None:
    """What stands around a model call, so that others make no spans of it; None where there are no others.

    The only way to tell them is the one for all instrumentations, so there is no span of the HTTP request either.
    """
    if _SEES_REQUESTS not in sys.modules:
        return None
    from importlib import import_module

    found: AbstractContextManager[object] = import_module(
        "opentelemetry.instrumentation.utils"
    ).suppress_instrumentation()
    return found
