"""The statements about what adapters keep beside conversations. See `chatstore.sql.states`."""

from typing import Any

from sqlalchemy import (
    Select,
    and_,
    bindparam,
    delete,
    exists,
    func,
    literal_column,
    null,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.orm import aliased
from sqlalchemy.sql import ClauseElement, ColumnElement

from chatstore.sql.clauses import NOTHING, ONE, ZERO, C, M, live
from chatstore.sql.compiled import Compiled, sql
from chatstore.sql.models import State

S = State

_p = bindparam
# Said outright, not as a parameter: else the planner does not see that the index fits.
_ENTRY = M.format == literal_column("'pydantic_ai'")
SAID = ("scope", "body", "updated_at")
"""What a saver says of a state, each time."""

_CHANGING = [
    *(S.conversation_id, S.seen, S.revision, S.scope, S.body, S.updated_at, S.ttl, S.expires_at),
]


def _mine() -> ColumnElement[bool]:
    return S.namespace == _p("namespace")


def _named() -> ColumnElement[bool]:
    return and_(_mine(), S.key == _p("key"))


def _lives() -> ColumnElement[bool]:
    """Whether a state is there, beside the row of the conversation of its key, if there is one."""
    alone = and_(S.conversation_id.is_(None), or_(S.expires_at.is_(None), S.expires_at > _p("now")))
    adopted = and_(
        S.conversation_id.is_(None), or_(S.expires_at.is_(None), C.created_at < S.expires_at)
    )
    beside = and_(live(), or_(S.conversation_id == C.id, adopted))
    return or_(and_(C.id.is_(None), alone), and_(C.id.is_not(None), beside))


def _told(start: Any, *where: Any) -> Select[Any]:
    """What is known of states, of their conversations, and of the newest messages there."""
    last, inner = aliased(M), aliased(M)
    newest = select(func.max(inner.ordinal)).where(inner.conversation_id == C.id).scalar_subquery()
    columns: list[Any] = [
        *(S.id, S.key, S.conversation_id, S.seen, S.revision),
        *(S.scope, S.body, S.parted, S.updated_at, S.ttl, S.expires_at),
        *(C.id, C.revision, C.updated_at, C.expires_at, last.serial, last.id),
    ]
    at_last = and_(last.conversation_id == C.id, last.ordinal == newest)
    return select(*columns).select_from(start.outerjoin(last, at_last)).where(*where)


class StateStatements(Compiled):
    """Reading and writing states."""

    def _find_state(self) -> ClauseElement:
        # The outer joins hang on one row that is there in any case: there may be either.
        one = select(ONE.label("one")).subquery()
        named = and_(C.namespace == _p("namespace"), C.key == _p("key"))
        start = one.outerjoin(C.__table__, named)
        return _told(start.outerjoin(S.__table__, and_(_named(), _lives())))

    def _states(self, *where: Any) -> Select[Any]:
        same = and_(C.namespace == S.namespace, C.key == S.key)
        return _told(S.__table__.outerjoin(C.__table__, same), _mine(), _lives(), *where)

    def _recent_states(self, *where: Any) -> Select[Any]:
        # The bound makes it a range of the index, which is in the order that is wanted.
        behind = S.updated_at < literal_column(str(1 << 62))
        rows = self._states(*where, behind).order_by(S.updated_at.desc(), S.key.desc())
        return rows.limit(_p("n")).offset(ZERO)

    find_state = sql(_find_state)
    list_states = sql(lambda self: self._recent_states())
    list_scope = sql(lambda self: self._recent_states(S.scope == _p("scope")))
    states_by_key = sql(
        lambda self: self._states(S.key > _p("after")).order_by(S.key).limit(_p("n")).offset(ZERO)
    )
    # Writing one beside messages, as it mostly is; see `states.write_usual`.

    keep_state = sql(
        lambda _: (
            update(S)
            .where(_named(), S.conversation_id == _p("conversation_id"))
            .values(revision=S.revision + ONE, **{name: _p(name) for name in ("seen", *SAID)})
        )
    )

    lock_state = sql(lambda _: select(S.id).where(_named()).with_for_update())

    def _add_state(self) -> ClauseElement:
        columns = [column.key for column in S.__table__.columns if column.key != "id"]
        new = self.insert(S).values({name: _p(name) for name in columns})
        kept = new.on_conflict_do_nothing(index_elements=[S.namespace, S.key])
        return kept.returning(S.id)  # type: ignore[no-any-return]

    def _save_state(self, *more: Any) -> ClauseElement:
        values: dict[str, Any] = {column.key: _p(column.key) for column in [*_CHANGING, *more]}
        return update(S).where(S.id == _p("state_id")).values(values)

    add_state = sql(_add_state)
    save_state = sql(lambda self: self._save_state())
    save_parted = sql(lambda self: self._save_state(S.parted))
    delete_state = sql(lambda _: delete(S).where(_named()))
    delete_dead_state = sql(
        lambda _: delete(S).where(_named(), S.conversation_id.is_(None), S.expires_at <= _p("now"))
    )
    any_state = sql(lambda _: select(S.id).where(_mine(), S.key > NOTHING).limit(ONE).offset(ZERO))
    adopt_state = sql(lambda _: update(S).where(_named()).values(ttl=null(), expires_at=null()))
    delete_state_of = sql(
        lambda _: delete(S).where(
            tuple_(S.namespace, S.key).in_(
                select(C.namespace, C.key).where(C.id == _p("conversation_id"))
            )
        )
    )
    # One that a conversation adopted goes with it.
    purge_states = sql(
        lambda _: delete(S).where(
            S.namespace.concat(NOTHING) == _p("namespace"),
            S.expires_at <= _p("now"),
            ~exists().where(C.namespace == S.namespace, C.key == S.key),
        )
    )
    find_entry = sql(
        lambda _: (
            select(C.key)
            .join(M, M.conversation_id == C.id)
            .where(M.id == _p("id"), _ENTRY, C.namespace == _p("namespace"), live())
            .limit(ONE)
            .offset(ZERO)
        )
    )

    def _find_parted(self) -> ClauseElement:
        where = func.instr if self.dialect == "sqlite" else func.strpos
        held = where(S.parted, _p("quoted")) > ZERO
        return select(S.key).where(_mine(), held).order_by(S.key)

    find_parted = sql(_find_parted)
    all_states = sql(lambda _: select(S.key, S.body, S.parted).where(_mine()).order_by(S.key))
