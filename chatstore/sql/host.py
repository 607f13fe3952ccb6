"""For a host application that has an Alembic of its own over the same database.

Without a filter, its `alembic revision --autogenerate` proposes to drop every table that its own
models do not know: the tables of its chat history, with all that is in them.
"""

from typing import Any

from chatstore.sql.schema.versions import TABLES, VERSION_TABLE

_OURS = frozenset({*TABLES, VERSION_TABLE})


def include_name(name: str | None, type_: str, parent_names: Any) -> bool:  # noqa: ARG001
    """Leaves the tables of chatstore out of the host's autogenerate.

    Give it to `context.configure(include_name=…)` in the host's env.py, or call it in the function
    that is given there already: `return include_name(name, type_, parents) and …`.

    Args:
        name: The name of what Alembic found in the database.
        type_: What that is: "table", "column", "schema" or another.
        parent_names: Where it lies.

    Returns:
        False for a table of chatstore, True for everything else.

    Example:
        >>> include_name("chatstore_message", "table", {}), include_name("invoice", "table", {})
        (False, True)
    """
    return type_ != "table" or name not in _OURS


def include_object(
    object: Any,  # noqa: A002, ARG001
    name: str | None,
    type_: str,
    reflected: bool,
    compare_to: Any,
) -> bool:
    """The same for `context.configure(include_object=…)`, and for tables of newer versions too.

    Args:
        object: The table, column, index or constraint.
        name: Its name.
        type_: What it is.
        reflected: Whether it was found in the database.
        compare_to: What the host's models have under that name.

    Returns:
        False for a table of chatstore, and for a table that only the database has and whose name
        begins as those of chatstore do; True for everything else.

    Example:
        >>> include_object(None, "chatstore_message", "table", True, None)
        False
        >>> include_object(None, "invoice", "table", True, None)
        True
    """
    if type_ != "table" or name is None:
        return True
    unknown = reflected and compare_to is None
    return name not in _OURS and not (unknown and name.startswith("chatstore_"))
