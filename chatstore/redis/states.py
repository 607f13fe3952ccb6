"""The plans of what adapters keep beside conversations, and of `check`, which looks at all."""

from collections.abc import Sequence

from chatstore import errors
from chatstore import operations as ops
from chatstore.records import CheckReport, State, made_id, quoted_entry
from chatstore.redis import rows as layout
from chatstore.redis.asking import Ask, Plan, Run, Scan
from chatstore.redis.checks import problems, state_problems
from chatstore.redis.keys import beside, recent
from chatstore.redis.reads import BATCH, Reads
from chatstore.redis.scripts import script
from chatstore.redis.writes import Writes, expectation

_AS_IT_IS = "?"


class States(Writes, Reads):
    """The plans about states."""

    def read_state(self, op: ops.ReadState) -> Plan[State | None]:
        """Carry out `ReadState`."""
        name = self.names.conversation(op.key)
        reply = yield Run(script("read_state"), (name, recent(name)), (), op.key)
        return self._state(op.key, [layout.text(part) for part in reply])

    def _state(self, key: str, parts: Sequence[str]) -> State | None:
        if not parts:
            return None
        text, serial, id, member, parted = parts
        header = self._header(key, text) if text else None
        head, revision = None, ""
        if header is not None:
            head = layout.unescape(id) or made_id(header.incarnation, int(serial))
            revision = f"{header.incarnation}-{header.changes}"
            if not member:
                return State(key, None, "", None, header.updated_at, revision, False, head)
        held = self.held_state(key, member)
        if header is None:
            revision = f"~{held.seen}"
        changed = header is not None and held.seen != revision
        return State(
            key, held.body, parted[1:], held.scope, held.updated_at, revision, changed, head
        )

    def list_states(self, op: ops.ListStates) -> Plan[list[State]]:
        """Carry out `ListStates`: each state is from one moment, and not all from the same one."""
        told: list[tuple[int, str]] = []
        for key, member, _ in (yield from self._members()):
            held = layout.beside(member)
            if held is not None and op.scope in (None, held.scope):
                told.append((held.updated_at, key))
        found: list[State] = []
        for _, key in sorted(set(told), reverse=True):
            if op.limit is not None and len(found) >= op.limit:
                break
            state = yield from self.read_state(ops.ReadState(key))
            if state is not None and state.body is not None:
                found.append(state)
        return found

    def _members(self) -> Plan[list[tuple[str, str, str]]]:
        """The keys of all states, and their members: of the state, and of what was left."""
        keys = yield from self.keys()
        named = [(key, self.names.conversation(key)) for key in keys]
        for name in (yield Scan(self.names.pattern(behind=":state"))):
            alone = self.names.alone(layout.text(name))
            if alone is not None:
                named.append((alone, beside(self.names.conversation(alone))))
        found: list[tuple[str, str, str]] = []
        for start in range(0, len(named), BATCH):
            part = named[start : start + BATCH]
            asked = [("ZRANGEBYSCORE", name, "-inf", "-inf") for _, name in part]
            for (key, _), reply in zip(part, (yield Ask(asked))):
                if not isinstance(reply, Exception) and reply:
                    state, parted = (*layout.texts(reply), "")[:2]
                    found.append((key, state, parted))
        return found

    def write_state(self, op: ops.WriteState) -> Plan[str]:
        """Carry out `WriteState`."""
        body, parted, scope, updated_at = op.state
        before = (
            *(self._ttl, expectation(op.expected), "replace" if op.replace else "append"),
            *(updated_at, layout.scope_text(scope), body),
            _AS_IT_IS if parted is None else parted,
        )
        revision, _ = yield from self._offer("write_state", op.key, op.drafts, before)
        return revision

    def delete_state(self, op: ops.DeleteState) -> Plan[bool]:
        """Carry out `DeleteState`."""
        result = yield from self.write("delete_state", op.key, expectation(op.expected))
        return result == "1"

    def find_entry(self, op: ops.FindEntry) -> Plan[str | None]:
        """Carry out `FindEntry`: every conversation is asked."""
        keys = yield from self.keys()
        for start in range(0, len(keys), BATCH):
            part = keys[start : start + BATCH]
            asked = [
                ("ZSCORE", self.names.conversation(key), "@" + layout.escape(op.id)) for key in part
            ]
            for key, reply in zip(part, (yield Ask(asked))):
                if isinstance(reply, Exception) or reply is None:
                    continue
                ordinal = -int(float(layout.text(reply) if isinstance(reply, bytes) else reply))
                name = self.names.conversation(key)
                [rows] = yield Ask([("ZRANGEBYSCORE", name, ordinal, ordinal)], key)
                if any(member.split("|", 3)[2] == ops.ENTRIES for member in layout.texts(rows)):
                    return key
        quoted = quoted_entry(op.id)
        for key, _, parted in sorted((yield from self._members())):
            if quoted in parted:
                return key
        return None

    def check(self, op: ops.Check) -> Plan[CheckReport]:
        """Carry out `Check`."""
        conversations = messages = 0
        found: list[str] = []
        for key in (yield from self.keys()):
            try:
                whole = yield from self.whole(key)
            except errors.SchemaTooNewError as error:
                found.append(str(error))
                continue
            except errors.StoreCorruptError:
                continue  # somebody else's
            if whole is not None:
                conversations, messages = conversations + 1, messages + len(whole.rows)
                [lives] = yield Ask([("PTTL", self.names.conversation(key))], key)
                found += problems(key, whole, int(lives))
        for key, state, parted in (yield from self._lonely()):
            found += state_problems(key, state, parted)
        return CheckReport(conversations, messages, found)

    def exists(self, key: str) -> Plan[tuple[bool, bool]]:
        """Whether there is a conversation, and whether there is a state without one."""
        name = self.names.conversation(key)
        asked = [("ZRANGE", name, -1, -1), ("EXISTS", beside(name))]
        header, alone = yield Ask(asked, key)
        for member in layout.texts(header):
            self._header(key, member)
        return bool(header), not header and bool(int(alone))

    def alone(self) -> Plan[list[str]]:
        """The keys of states without messages."""
        names = yield Scan(self.names.pattern(behind=":state"))
        keys = (self.names.alone(layout.text(name)) for name in names)
        return sorted({key for key in keys if key is not None})

    def state_alone(self, key: str) -> Plan[tuple[layout.Beside, str] | None]:
        """A state without messages, and the member of what was left; `None`: there is none."""
        [reply] = yield Ask([("ZRANGE", beside(self.names.conversation(key)), 0, -1)], key)
        if not reply:
            return None
        member, parted = (*layout.texts(reply), "")[:2]
        return self.held_state(key, member), parted

    def held_state(self, key: str, member: str) -> layout.Beside:
        """What a member says.

        Raises:
            StoreCorruptError: It is no state.
        """
        held = layout.beside(member)
        if held is None:
            raise errors.StoreCorruptError(
                f"the state beside {key!r} cannot be read; see check(), and restore a backup"
            )
        return held

    def _lonely(self) -> Plan[list[tuple[str, str, str]]]:
        """The states without messages, as `_members`."""
        found: list[tuple[str, str, str]] = []
        for key in (yield from self.alone()):
            [reply] = yield Ask([("ZRANGE", beside(self.names.conversation(key)), 0, -1)], key)
            state, parted = (*layout.texts(reply), "", "")[:2]
            found.append((key, state, parted))
        return found
