"""What `alembic -c alembic.ini …` does: the same as the library does when it opens a database."""

import configparser
import os
import re
from logging.config import fileConfig
from typing import Any

import sqlalchemy as sa
from alembic import context
from alembic.operations import Operations
from alembic.operations.ops import MigrationScript
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError

from chatstore.errors import ChatStoreError
from chatstore.sql import schema
from chatstore.sql.engine import open_database
from chatstore.sql.models import Base

config = context.config
given = context.get_x_argument(as_dictionary=True)


def url() -> str:
    """The database: of `-x url=…`, of CHATSTORE_URL, of the ini file, in this order."""
    found = given.get("url") or os.environ.get("CHATSTORE_URL")
    if not found:
        try:
            found = config.get_main_option("sqlalchemy.url")
        except configparser.InterpolationError:
            # The % of a URL, which the ini file wants doubled, was not.
            found = config.file_config.get(config.config_ini_section, "sqlalchemy.url", raw=True)
    if not isinstance(found, str) or not found:
        raise CommandError("which database? Give -x url=…, or set CHATSTORE_URL")
    return found


def ours(name: str | None, kind: str, _parents: Any) -> bool:
    """Whether a table of the database is to be compared: a host's are none of our business."""
    return kind != "table" or name in schema.TABLES


def name_readably(
    _context: MigrationContext, _revision: Any, directives: list[MigrationScript]
) -> None:
    """0003_what_it_does instead of twelve random digits."""
    for script in directives:
        if getattr(config.cmd_opts, "rev_id", None) is None:
            slug = re.sub(r"\W+", "_", script.message or "").strip("_").lower()
            script.rev_id = f"{len(schema.REVISIONS) + 1:04d}_{slug}"[:32].strip("_")


def configure(**how: Any) -> None:
    context.configure(
        target_metadata=Base.metadata,
        version_table=schema.VERSION_TABLE,
        include_name=ours,
        compare_server_default=True,
        transactional_ddl=True,
        process_revision_directives=name_readably,
        **how,
    )


def run(connection: sa.Connection) -> None:
    configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations(op=Operations(context.get_context()))


def run_online() -> None:
    with_schema = given.get("schema")
    scripts = {found.revision for found in context.script.walk_revisions()}
    if missing := scripts.difference(schema.REVISIONS):
        raise CommandError(
            f"add {missing.pop()!r} to REVISIONS in chatstore/sql/schema/versions.py first"
        )
    try:
        database = open_database(url())
        try:
            schema.current(database, with_schema)
            with schema.changing(database, schema=with_schema) as connection:
                run(connection)
        finally:
            database.close()
    except (ChatStoreError, ValueError) as error:
        raise CommandError(str(error)) from error


def run_offline() -> None:
    if sa.make_url(url()).get_backend_name() == "sqlite":
        raise CommandError("--sql is for PostgreSQL: on SQLite use `chatstore upgrade`")
    configure(url=url(), literal_binds=True)
    with context.begin_transaction():
        context.run_migrations(op=Operations(context.get_context()))


handed_in = config.attributes.get("connection")
if handed_in is not None:
    # Its owner has set up logging, and begins and commits.
    run(handed_in)
else:
    if config.config_file_name is not None:
        fileConfig(config.config_file_name, disable_existing_loggers=False)
    if context.is_offline_mode():
        run_offline()
    else:
        run_online()
