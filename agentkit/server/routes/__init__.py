"""The server's paths, a module for each kind of object."""

from . import assistants

ROUTERS = [assistants.router]

__all__ = ["ROUTERS"]
