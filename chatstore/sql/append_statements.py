"""The statements that append: first the row of the conversation, then the messages.

That row is the lock, and gives out ordinals and serials.
"""

from typing import Any

from sqlalchemy import bindparam, insert, update
from sqlalchemy.sql import ColumnElement

from chatstore.sql.clauses import FIRST, ROW, C, M, live, named
from chatstore.sql.compiled import Compiled, sql

_p = bindparam


def at_revision() -> tuple[ColumnElement[bool], ...]:
    """The incarnation of a conversation at a revision."""
    return C.id == _p("conversation_id"), C.revision == _p("revision")


class AppendStatements(Compiled):
    """Giving out ordinals, and storing messages there."""

    def upsert(self, new: Any) -> Any:
        """The insert of a conversation's row, which adds to the row that may be there."""
        kept = new.on_conflict_do_update(
            index_elements=[C.namespace, C.key],
            set_={
                "next_ordinal": C.next_ordinal + new.excluded.next_ordinal,
                "count": C.count + new.excluded.count,
                "revision": C.revision + new.excluded.revision,
                "updated_at": new.excluded.updated_at,
                "expires_at": new.excluded.updated_at + C.ttl,
            },
            where=live(),
        )
        return kept.returning(C.id, C.next_ordinal, C.revision)

    allocate = sql(lambda self: self.upsert(self.insert(C).values(FIRST)))

    def grown(self, *where: Any) -> Any:
        """The update of a live conversation's row, which gives out the next ordinals."""
        row = update(C).where(named(), live(), *where)
        return row.values(
            next_ordinal=C.next_ordinal + _p("span"),
            count=C.count + _p("n"),
            revision=C.revision + _p("n"),
            updated_at=_p("now"),
            expires_at=_p("now") + C.ttl,
        )

    grow = sql(lambda self: self.grown().returning(C.id, C.next_ordinal, C.revision))
    grow_at_revision = sql(lambda self: self.grown(*at_revision()).returning(C.next_ordinal))
    add_message = sql(
        lambda _: insert(M).values({name.key: _p(name.key) for name in ROW}), positional=True
    )
