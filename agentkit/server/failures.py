"""What ends a run -> what a client is told of it."""

from logging import getLogger

from agentkit.errors import (
    AgentError,
    AuthFailed,
    ContentFiltered,
    ContextTooLong,
    GuardrailTripped,
    LimitExceeded,
    ModelError,
    QuotaExceeded,
    RateLimited,
    Refused,
    RequestRejected,
    said,
)

from .errors import ApiError


class RunFailed(ApiError):
    """A run, or a model, has failed."""

    def __init__(
        self,
        message: str,
        *,
        status: int,
        type: str = "server_error",
        code: str | None = None,
        retry: bool | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, status=status, type=type, code=code, retry=retry)
        self.retry_after = retry_after

    @property
    def headers(self) -> dict[str, str]:
        """What SDKs read of whether, and when, to try again."""
        wait = {} if self.retry_after is None else {"retry-after": f"{self.retry_after:g}"}
        return super().headers | wait


def failure(error: BaseException) -> ApiError:
    """The answer to a request whose run has ended with an error."""
    words = said(error)
    match error:
        case ApiError():
            return error
        case QuotaExceeded():
            return RunFailed(words, status=429, type="insufficient_quota", code="insufficient_quota", retry=False)
        case RateLimited():
            kind = "rate_limit_exceeded"
            return RunFailed(words, status=429, type=kind, code=kind, retry_after=error.retry_after)
        case ContextTooLong():
            return ApiError(words, param="messages", code="context_length_exceeded")
        case ContentFiltered() | GuardrailTripped():
            return ApiError(words, code="content_filter")
        case RequestRejected() | Refused():
            return ApiError(words)
        case AuthFailed():
            return RunFailed(f"The model's server has refused this server: {words}", status=500, retry=False)
        case TimeoutError():
            return RunFailed(words or "The request took too long.", status=504, code="timeout")
        case LimitExceeded():
            return RunFailed(words, status=500, code="limit_exceeded", retry=False)
        case ModelError():
            return RunFailed(words, status=502)
        case AgentError():
            return RunFailed(words, status=500, retry=False)
    getLogger("agentkit").error("a request failed", exc_info=error)
    return RunFailed("The server had an error while processing your request.", status=500)
