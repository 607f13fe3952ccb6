"""Every statement of the store, built of the models, compiled when first used, once per dialect.

A statement is named for what it does, and its parameters for what they are; those of
`add_message` are positional, in the order of `Row`, for batches of tuples are what drivers take
fastest. Reading statements result in rows in the order of `chatstore.records.Row`.
"""

from typing import Any

from sqlalchemy import (
    Select,
    bindparam,
    delete,
    func,
    insert,
    literal_column,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.sql import ClauseElement

from chatstore.sql.append_statements import AppendStatements
from chatstore.sql.clauses import (
    CONTENT,
    NOTHING,
    ONE,
    ROW,
    ZERO,
    B,
    C,
    M,
    between,
    down,
    here,
    live,
    mine,
    named,
    up,
)
from chatstore.sql.compiled import sql as _sql
from chatstore.sql.models import GAP
from chatstore.sql.state_statements import StateStatements

_HELD = [
    *(C.id, C.next_ordinal, C.base, C.count, C.archived, C.active_from),
    *(C.revision, C.ttl, C.expires_at),
]
_DESCRIPTION = [
    *(C.key, C.count, C.created_at, C.updated_at, C.expires_at, C.ttl, C.metadata_),
    *(C.id, C.revision),
]

_p = bindparam


def _by_key() -> Select[Any]:
    live_id = select(C.id).where(named(), live()).scalar_subquery()
    return select(*ROW).where(M.conversation_id == live_id)


def _among() -> Any:
    return M.ordinal.between(_p("first"), _p("last"))


def _from_ordinal() -> Select[Any]:
    return select(*ROW).where(here(), M.ordinal >= _p("ordinal"))


class Statements(AppendStatements, StateStatements):
    """The SQL of one dialect, as text."""

    # Reading by key

    all = _sql(lambda _: _by_key().order_by(M.ordinal))
    last = _sql(lambda _: down(_by_key()))
    last_of_status = _sql(lambda _: down(_by_key().where(M.archived == _p("archived"))))

    def _after(self) -> ClauseElement:
        # A row may have been renumbered since it was read: look where it was, else search it.
        row = select(M.ordinal).where(here(), M.serial == _p("serial"))
        there = row.where(M.ordinal == _p("ordinal")).scalar_subquery()
        place = func.coalesce(there, row.scalar_subquery(), _p("ordinal"))
        return self.in_page(_by_key().where(here(), M.ordinal > place))

    after = _sql(_after)

    def in_page(self, rows: Select[Any]) -> Select[Any]:
        """The first `n` of rows; a reader may stop earlier."""
        return up(rows)

    # Messages of a conversation whose id is known

    from_ordinal = _sql(lambda _: up(_from_ordinal()))
    page = _sql(lambda self: self.in_page(_from_ordinal()))
    from_end = _sql(lambda _: down(select(*ROW).where(here()), skip=_p("skip")))
    slice_of_status = _sql(
        lambda _: up(_from_ordinal().where(M.archived == _p("archived")), skip=_p("skip"))
    )
    at_ordinal = _sql(lambda _: select(*ROW).where(here(), M.ordinal == _p("ordinal")))
    by_id = _sql(lambda _: select(M.ordinal, M.format, M.payload).where(here(), M.id == _p("id")))
    change_message = _sql(
        lambda _: (
            update(M)
            .where(here(), M.ordinal == _p("ordinal"))
            .values({column.key: _p(f"new_{column.key}") for column in CONTENT})
        )
    )
    archive = _sql(lambda _: update(M).where(here(), _among()).values(archived=true()))
    count_archived = _sql(
        lambda _: (
            update(C)
            .where(C.id == _p("conversation_id"))
            .values(
                archived=select(func.count())
                .select_from(M)
                .where(here(), M.archived.is_(true()))
                .scalar_subquery()
            )
        )
    )
    delete_message = _sql(lambda _: delete(M).where(here(), M.ordinal == _p("ordinal")))
    delete_of_status = _sql(
        lambda _: delete(M).where(here(), M.archived == _p("archived"), _among())
    )
    delete_before = _sql(lambda _: delete(M).where(here(), M.ordinal < _p("ordinal")))

    def _copy_messages(self) -> ClauseElement:
        place = func.row_number().over(order_by=M.ordinal).label("place")
        old = up(select(*CONTENT, place).where(here())).subquery()
        content = [old.c[column.key] for column in CONTENT]
        ordinal = (old.c.place - ONE) * literal_column(str(GAP))
        new = select(_p("to_id"), ordinal, old.c.place, *content)
        return insert(M).from_select([column.key for column in ROW], new)

    copy_messages = _sql(_copy_messages)

    # Places: from idx to ordinal, and room between two; see `places`

    ordinal_from_start = _sql(lambda _: up(select(M.ordinal).where(here()), ONE, _p("skip")))
    ordinal_from_end = _sql(lambda _: down(select(M.ordinal).where(here()), ONE, _p("skip")))
    ordinals_up = _sql(
        lambda _: up(
            select(M.ordinal).where(here(), M.ordinal >= _p("low"), M.ordinal < _p("high")),
            skip=_p("skip"),
        )
    )
    ordinals_down = _sql(
        lambda _: down(
            select(M.ordinal).where(here(), M.ordinal >= _p("low"), M.ordinal < _p("high"))
        )
    )
    move_message = _sql(
        lambda _: update(M).where(here(), M.ordinal == _p("old")).values(ordinal=_p("new"))
    )
    blocks = _sql(
        lambda _: (
            select(B.block, B.delta)
            .where(B.conversation_id == _p("conversation_id"))
            .order_by(B.block)
        )
    )

    def _change_block(self) -> ClauseElement:
        new = self.insert(B).values(
            conversation_id=_p("conversation_id"), block=_p("block"), delta=_p("delta")
        )
        return new.on_conflict_do_update(  # type: ignore[no-any-return]
            index_elements=[B.conversation_id, B.block],
            set_={"delta": B.delta + new.excluded.delta},
        )

    change_block = _sql(_change_block)
    delete_blocks = _sql(
        lambda _: delete(B).where(B.conversation_id == _p("conversation_id"), B.block < _p("base"))
    )

    # Conversations

    lock = _sql(lambda _: select(*_HELD).where(named()).with_for_update())
    find = _sql(lambda _: select(*_HELD).where(named(), live()))
    describe = _sql(lambda _: select(*_DESCRIPTION).where(named(), live()))
    add_conversation = _sql(
        lambda self: (
            self.insert(C)
            .values({c.key: _p(c.key) for c in C.__table__.columns if c.key != "id"})
            .on_conflict_do_nothing(index_elements=[C.namespace, C.key])
            .returning(C.id)
        )
    )
    save = _sql(
        lambda _: (
            update(C)
            .where(C.id == _p("conversation_id"))
            .values({c.key: _p(c.key) for c in [*_HELD[1:], C.updated_at]})
        )
    )
    settle = _sql(
        lambda _: (
            update(C)
            .where(C.id == _p("conversation_id"))
            .values(
                count=_p("count"),
                archived=_p("archived"),
                next_ordinal=_p("next_ordinal"),
                revision=_p("count"),
            )
        )
    )
    set_metadata = _sql(
        lambda _: (
            update(C).where(C.id == _p("conversation_id")).values({C.metadata_: _p("metadata")})
        )
    )
    delete_conversation = _sql(lambda _: delete(C).where(C.id == _p("conversation_id")))
    keys = _sql(
        lambda _: (
            select(C.key)
            .where(mine(), live(), between())
            .order_by(C.key)
            .limit(_p("n"))
            .offset(ZERO)
        )
    )
    by_key = _sql(
        lambda _: (
            select(*_DESCRIPTION)
            .where(mine(), live(), between())
            .order_by(C.key)
            .limit(_p("n"))
            .offset(ZERO)
        )
    )

    def _recent(self) -> Select[Any]:
        behind = tuple_(C.updated_at, C.key) < tuple_(_p("updated_at"), _p("key"))
        description: list[Any] = _DESCRIPTION
        rows: Select[Any] = select(*description).where(mine(), live(), behind)
        rows = rows.order_by(C.updated_at.desc(), C.key.desc())
        return rows.limit(_p("n")).offset(ZERO)

    recent = _sql(_recent)
    recent_between = _sql(lambda self: self._recent().where(between()))

    # Upkeep

    # Concatenated, so that SQLite does not go through all conversations of the namespace instead of
    # the few that have expired.
    expired = _sql(
        lambda _: (
            select(C.id)
            .where(C.namespace.concat(NOTHING) == _p("namespace"), C.expires_at <= _p("now"))
            .limit(_p("n"))
            .offset(ZERO)
            .with_for_update(skip_locked=True)
        )
    )
    totals = _sql(
        lambda _: select(func.count(), func.coalesce(func.sum(C.count), ZERO)).where(mine(), live())
    )
    held = _sql(lambda _: select(*_DESCRIPTION, *_HELD).where(mine()).order_by(C.key))
    orphans = _sql(
        lambda _: select(func.count()).select_from(M).where(M.conversation_id.not_in(select(C.id)))
    )
