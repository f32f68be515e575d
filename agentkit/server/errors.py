"""How the server says no: the error envelope of OpenAI's API, on every answer that is none of 200.

Source: OpenAI's API reference, "Error codes"; clients read `error.message`, and some compare it word for word.
"""

from typing import Any


class ApiError(Exception):
    """A request is refused."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        type: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        retry: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.type = type
        self.param = param
        self.code = code
        self.retry = retry
        """Whether a client's SDK should send the request again; None leaves that to its own rules."""

    @property
    def body(self) -> dict[str, Any]:
        """The envelope."""
        return {
            "error": {"message": str(self), "type": self.type, "param": self.param, "code": self.code},
        }

    @property
    def headers(self) -> dict[str, str]:
        """What the official SDKs read of whether to try again."""
        return {} if self.retry is None else {"x-should-retry": str(self.retry).lower()}


def missing(noun: str, id: str) -> ApiError:
    """Nothing has this id, or it is another tenant's."""
    return ApiError(f"No {noun} found with id '{id}'.", status=404)


def unfit(where: str, why: str, code: str | None = "invalid_value") -> ApiError:
    """A parameter, named as in `messages[0].role`, is not what it may be."""
    return ApiError(f"Invalid {where!r}: {why}.", param=where, code=code)
