"""The tables, and how older ones become them.

One table holds the objects of all kinds, each as the JSON that clients see. Messages and the calls between them are
objects too: a thread's log is what has the thread as its parent, in the order of `seq`, and a conversation is the same
log under another name. `status`, `active` and `ref` repeat what the JSON says where the database has to look for it.
"""

from typing import Any

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    event,
    text,
)
from sqlalchemy.dialects.postgresql import TSVECTOR

METADATA = MetaData()
_SEQ = BigInteger().with_variant(Integer, "sqlite")

OBJECTS = Table(
    "agentkit_objects",
    METADATA,
    Column("seq", _SEQ, primary_key=True, autoincrement=True),
    Column("tenant", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("parent", Text, nullable=False, server_default=""),
    Column("ref", Text, nullable=False, server_default=""),
    Column("status", Text, nullable=False, server_default=""),
    Column("active", Boolean, nullable=False, server_default=text("FALSE")),
    Column("expires", BigInteger),
    Column("body", Text, nullable=False),
    Column("private", Text),
    Index("agentkit_objects_id", "tenant", "id", "kind", "parent", unique=True),
    Index("agentkit_objects_listed", "tenant", "kind", "parent", "seq"),
    Index("agentkit_objects_expiring", "expires", postgresql_where=text("active"), sqlite_where=text("active")),
    Index(
        "agentkit_objects_one_active",
        "tenant",
        "parent",
        unique=True,
        postgresql_where=text("active AND kind = 'run'"),
        sqlite_where=text("active AND kind = 'run'"),
    ),
    sqlite_autoincrement=True,
)
"""`private` is JSON that no client sees: what a paused run goes on with."""

BLOBS = Table(
    "agentkit_blobs",
    METADATA,
    Column("file", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
    PrimaryKeyConstraint("file", "number"),
)
"""The bytes of files, in pieces of a megabyte at most."""

CHUNKS = Table(
    "agentkit_chunks",
    METADATA,
    Column("id", _SEQ, primary_key=True, autoincrement=True),
    Column("tenant", Text, nullable=False),
    Column("store", Text, nullable=False),
    Column("file", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("size", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("words", TSVECTOR().with_variant(Text, "sqlite")),
    Index("agentkit_chunks_listed", "tenant", "store", "file", "number", "size", unique=True),
    sqlite_autoincrement=True,
)
"""The passages of the files in vector stores. Their words are indexed as `agentkit.server.files.words` tells them, so
that both databases find the same: in PostgreSQL in `words`, in SQLite in a table of its own."""

_WORDS = {
    "postgresql": ("CREATE INDEX agentkit_chunks_words ON agentkit_chunks USING gin (words)",),
    "sqlite": (
        "CREATE VIRTUAL TABLE IF NOT EXISTS agentkit_words USING fts5(store, words, tokenize='unicode61')",
        "CREATE TRIGGER IF NOT EXISTS agentkit_chunks_gone AFTER DELETE ON agentkit_chunks "
        "BEGIN DELETE FROM agentkit_words WHERE rowid = old.id; END",
    ),
}
for _dialect, _statements in _WORDS.items():
    for _statement in _statements:
        _made: Any = DDL(_statement)  # type: ignore[no-untyped-call]
        event.listen(CHUNKS, "after_create", _made.execute_if(dialect=_dialect))

KEYS = Table(
    "agentkit_keys",
    METADATA,
    Column("hash", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
)
"""API keys, by their SHA-256."""

VERSIONS = Table("agentkit_server_version", METADATA, Column("version", Integer, primary_key=True))

MIGRATIONS: tuple[tuple[str, ...], ...] = ()
"""What makes tables of version N + 2 of those of version N + 1: SQL statements that both databases know."""
VERSION = 1 + len(MIGRATIONS)
