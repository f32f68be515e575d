"""What all bodies of requests have in common."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(_whole)]
"""A whole number; for JSON, 38.0 is one too."""


class Body(BaseModel):
    """A request's body. What it has no field for is passed over, and null is "not given", as at OpenAI's servers."""

    model_config = ConfigDict(strict=True, extra="ignore")

    def given(self) -> dict[str, Any]:
        """What the client has said, as JSON values, without what it has left out or said null of."""
        return self.model_dump(exclude_unset=True, exclude_none=True, by_alias=True)


Metadata = Annotated[
    dict[Annotated[str, StringConstraints(max_length=64)], Annotated[str, StringConstraints(max_length=512)]],
    Field(max_length=16),
]
"""Up to 16 pairs of text."""
