"""The stores in a SQL database: SQLite and PostgreSQL."""

from chatstore.sql.aio import AsyncSQLChatStore
from chatstore.sql.store import SQLChatStore

__all__ = ["AsyncSQLChatStore", "SQLChatStore"]
