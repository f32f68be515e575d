"""The server's paths, a module for each kind of object."""

from . import assistants, chat, conversations, files, messages, models, responses, runs, threads, uploads, vector_stores

ROUTERS = [
    assistants.router,
    runs.router,
    threads.router,
    messages.router,
    files.router,
    uploads.router,
    vector_stores.router,
    chat.router,
    conversations.router,
    responses.router,
    models.router,
]

__all__ = ["ROUTERS"]
