"""Where a store is, by its URL, and what of that may be shown."""

import re
from urllib.parse import parse_qsl, unquote, urlsplit

from agentkit.messages import clean

_TOLD = 300


def shown(url: str) -> str:
    """The URL without user, password and options."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "", url
    secret, at, place = rest.rpartition("@")
    if re.search("[?#]", secret):
        place = "***"  # whoever wrote it has meant something else by it
    return f"{scheme}{separator}{'***@' if at else ''}{re.split('[?#]', place)[0]}"


def without_secrets(text: str, url: str) -> str:
    """A text about a store, without what its URL keeps secret."""
    for secret in sorted(_secrets(url), key=len, reverse=True):
        text = text.replace(secret, "***")
    return clean(text)[:_TOLD]


def _secrets(url: str) -> set[str]:
    named, _, _ = url.partition("://")[2].rpartition("@")
    found = {named.partition(":")[2]}
    try:
        found |= {value for name, value in parse_qsl(urlsplit(url).query) if "pass" in name.lower()}
    except ValueError:
        pass
    return {form for secret in found for form in (secret, unquote(secret)) if secret}
