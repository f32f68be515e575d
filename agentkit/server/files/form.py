"""A form with a file in it, as it comes in: spooled to a disk, and no longer than it may be."""

from collections.abc import AsyncGenerator, AsyncIterator

from fastapi import Request, UploadFile
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser

from agentkit.server.errors import ApiError

from .keeping import TooLarge

_ELSE = 2**20
"""Bytes of a form besides its file."""
_READ = 2**18


async def read_form(request: Request, most: int) -> FormData:
    """The form that a request brings; whoever asks closes it.

    Raises:
        ApiError: there is none, or it is too long.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise ApiError("Expected a request of the type multipart/form-data.")
    parser = MultiPartParser(request.headers, _bounded(request, most), max_files=4, max_fields=64)
    try:
        return await parser.parse()
    except MultiPartException as error:
        raise ApiError(f"The form cannot be read: {error.message}") from None


def file_of(form: FormData, name: str) -> UploadFile:
    """The file that a form has under a name.

    Raises:
        ApiError: there is none.
    """
    found = next((each for each in form.getlist(name) if not isinstance(each, str)), None)
    if found is None:
        raise ApiError(f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter")
    return found  # type: ignore[return-value]


async def content_of(file: UploadFile) -> AsyncIterator[bytes]:
    """A file's bytes."""
    while data := await file.read(_READ):
        yield data


async def _bounded(request: Request, most: int) -> AsyncGenerator[bytes]:
    size = 0
    async for data in request.stream():
        size += len(data)
        if size > most + _ELSE:
            raise TooLarge(most)
        yield data
