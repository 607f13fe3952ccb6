"""What PostgreSQL can do in one statement, and so in one round trip.

The parts are those of `statements`: the row of the conversation first, which is the lock and gives
out ordinals and serials, then the messages. A statement outside of a transaction is one by itself,
so that none of it is stored unless all is.
"""

from collections.abc import Callable
from typing import Any, Literal

from sqlalchemy import (
    JSON,
    BigInteger,
    Select,
    Subquery,
    and_,
    cast,
    column,
    exists,
    func,
    insert,
    literal_column,
    select,
    true,
    update,
)
from sqlalchemy import bindparam as _p
from sqlalchemy.sql import ClauseElement
from typing_extensions import override

from chatstore.records import Draft
from chatstore.sql.append_statements import at_revision
from chatstore.sql.clauses import FIRST, PAGE_BYTES
from chatstore.sql.models import GAP, Conversation, Message, State
from chatstore.sql.state_statements import SAID
from chatstore.sql.statements import Statements

C, M, S = Conversation, Message, State

To = Literal["any", "expected", "none"]

_TYPES = {name: M.__table__.c[name].type for name in Draft._fields}


class PostgresStatements(Statements):
    """The SQL of PostgreSQL: its own beside what it shares.

    Appending results in the conversation's id and its revision, or in no row: then nothing was
    stored.
    """

    def __init__(self, dialect: str, schema: str | None) -> None:
        super().__init__(dialect, schema)
        self._appends: dict[tuple[To, bool], str] = {}
        self._writes: dict[tuple[To, bool], str] = {}

    def append(self, to: To, *, many: bool) -> str:
        """Appends one message, whose columns are parameters; or `many`, which are one: `drafts`.

        That is a JSON array, each message with its `place` from 0. `to` "expected": to the
        conversation `conversation_id` at the revision `revision`; to "none": if there is none.
        """
        if (to, many) not in self._appends:
            talk = {"any": self._upserted, "expected": self._expected, "none": self._created}[to]
            self._appends[to, many] = self.compile(_written(talk(), _many() if many else _one()))
        return self._appends[to, many]

    def write_state(self, to: To, *, many: bool) -> str:
        """The same, with a state: to "expected", of the one beside; to "none", of a new one."""
        if (to, many) not in self._writes:
            if to == "none":
                # Beside a state that is there already, adding another fails, and all with it.
                talk, keep = self._created(), _state_added
            else:
                # It changes with the conversation alone, whose row is looked at again when it is
                # locked: what was beside it then is what is beside it now.
                talk, keep = self._expected(exists().where(_beside(C.id))), _state_kept
            messages = _many() if many else _one()
            self._writes[to, many] = self.compile(_written(talk, messages, keep))
        return self._writes[to, many]

    @override
    def in_page(self, rows: Select[Any]) -> Select[Any]:
        """The first `n` of rows, or fewer: none behind those whose payloads are `PAGE_BYTES`.

        The server's end of it, as the driver has all of a result in memory. It knows the sizes
        without reading large payloads.
        """
        size = func.octet_length(M.payload)
        before = func.sum(size).over(order_by=M.ordinal, rows=(None, 0)) - size
        page = rows.add_columns(before.label("before")).order_by(M.ordinal).limit(_p("n"))
        held = page.subquery("page")
        columns = [held.c[str(column.key)] for column in rows.selected_columns]
        return (
            select(*columns)
            .where(held.c.before <= literal_column(str(PAGE_BYTES)))
            .order_by(held.c.ordinal)
        )

    def _upserted(self) -> Any:
        return self.upsert(self._inserted())

    def _created(self) -> Any:
        new = self._inserted().on_conflict_do_nothing(index_elements=[C.namespace, C.key])
        return new.returning(C.id, C.next_ordinal, C.revision)

    def _inserted(self) -> Any:
        values = [_typed(name, value) for name, value in FIRST.items()]
        return self.insert(C).from_select(list(FIRST), select(*values).select_from(_patience()))

    def _expected(self, *where: Any) -> Any:
        # Where somebody else writes at this moment, the conditions are looked at again after him.
        held = self.grown(*at_revision(), _patience().c.lock_timeout.is_not(None), *where)
        return held.returning(C.id, C.next_ordinal, C.revision)


def _written(talk: Any, drafts: Any, *more: Callable[[Any], Any]) -> ClauseElement:
    """Messages behind the row of their conversation, and more that is made of that row."""
    row = talk.cte("talk")
    first, before = row.c.next_ordinal - _p("span"), row.c.revision - _p("n")
    messages = select(
        row.c.id,
        first + drafts.c.place * literal_column(str(GAP)),
        before + drafts.c.place + literal_column("1"),
        *(drafts.c[name] for name in Draft._fields),
    ).join_from(row, drafts, true())
    names = ["conversation_id", "ordinal", "serial", *Draft._fields]
    stored = insert(M).from_select(names, messages).cte("stored")
    others = [build(row).cte(f"more_{n}") for n, build in enumerate(more)]
    return select(row.c.id, row.c.revision).add_cte(stored, *others)


def _beside(conversation_id: Any) -> Any:
    """The state that was written beside a conversation."""
    mine = and_(S.namespace == _p("namespace"), S.key == _p("key"))
    return and_(mine, S.conversation_id == conversation_id)


def _state_kept(row: Any) -> Any:
    values: dict[str, Any] = {name: _p(f"state_{name}") for name in SAID}
    values |= {"seen": row.c.revision, "revision": S.revision + literal_column("1")}
    return update(S).where(_beside(row.c.id)).values(values)


def _state_added(row: Any) -> Any:
    new = {
        "namespace": cast(_p("namespace"), S.namespace.type),
        "key": cast(_p("key"), S.key.type),
        "conversation_id": row.c.id,
        "seen": row.c.revision,
        "revision": literal_column("1"),
        "parted": literal_column("''"),
        **{name: cast(_p(f"state_{name}"), S.__table__.c[name].type) for name in SAID},
    }
    return insert(S).from_select(list(new), select(*new.values()).select_from(row))


def _patience() -> Any:
    """Sets how long the rest waits for a lock. It ends with the statement, being its transaction's.

    The rows to be written come out of it, so that it is done first.
    """
    milliseconds = func.set_config(literal_column("'lock_timeout'"), _p("patience"), true())
    return select(milliseconds.label("lock_timeout")).cte("patience")


def _one() -> Subquery:
    values = [cast(_p(name), kind).label(name) for name, kind in _TYPES.items()]
    return select(*values, literal_column("0").label("place")).subquery("draft")


def _many() -> Any:
    # An array for each column is dumped by the driver value by value, twice as slowly as this.
    kinds = {"place": BigInteger(), **_TYPES}
    columns = [column(name, kind) for name, kind in kinds.items()]
    rows = func.json_to_recordset(cast(_p("drafts"), JSON)).table_valued(*columns, name="draft")
    return rows.render_derived(with_types=True)


def _typed(name: str, value: Any) -> Any:
    return cast(value, C.__table__.c[name].type).label(name)
