"""The sorted set itself: fields that survive, ordinals that are spaced anew, statuses that mix."""

import random
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from chatstore import ChatMessage, StoreCorruptError
from chatstore import operations as ops
from chatstore.records import Draft
from chatstore.redis import rows
from tests.redis.given import FACES, KEY, NAME, held, names, opened, say, write_state
from tests.servers import RedisServer

ascii_json = st.text(st.characters(min_codepoint=32, max_codepoint=126)).map(
    lambda t: f'{{"a":"{t}"}}'
)
anything = st.text()


@given(
    st.builds(
        Draft,
        st.none() | anything.filter(bool),
        anything,
        ascii_json,
        anything,
        st.none() | anything.filter(bool),
        st.none() | anything.filter(bool),
        st.booleans(),
        st.integers(0, 2**52),
    ),
    st.integers(1, 2**52),
    st.integers(1, 2**52),
)
def test_every_field_comes_back(draft: Draft, serial: int, ordinal: int) -> None:
    text = rows.draft_text(draft)
    assert text.isascii()
    assert "\n" not in text
    member = f"{text[0]}{serial}|{text[1:]}"
    row = rows.row("inc", member, str(ordinal))
    assert row.draft == draft
    assert (row.conversation, row.serial, row.ordinal) == ("inc", serial, ordinal)


def test_replies_of_both_protocols_are_read() -> None:
    flat = [b"+1|x", b"35184372088832", b"~cs1", b"inf"]
    nested = [[b"+1|x", 35184372088832.0], [b"~cs1", float("inf")]]
    assert rows.pairs(flat) == rows.pairs(nested) == [("+1|x", 35184372088832), ("~cs1", 0)]


@pytest.mark.parametrize("protocol", [2, 3])
def test_both_protocols_are_spoken(redis_url: str, protocol: int) -> None:
    with opened("sync", f"{redis_url}?protocol={protocol}") as store:
        store.add_messages(KEY, [ChatMessage("a", id="m1"), *say("b")])
        assert held(store) == ["a", "b"]
        assert [m.content for m in store.get_messages(KEY, last=1)] == ["b"]
        assert store.check().ok


@pytest.mark.parametrize("place", [0, 1, 30, 59])
def test_insertions_at_one_place_space_the_ordinals_anew(
    redis_server: RedisServer, redis_url: str, place: int
) -> None:
    with opened("sync", redis_url) as store:
        expected = [str(number) for number in range(60)]
        store.add_messages(KEY, [ChatMessage(text, id=f"id{text}") for text in expected])
        store.archive_messages(KEY, 40)
        for number in range(150):
            store.add_message(KEY, ChatMessage(f"new{number}", id=f"new{number}"), place)
            expected.insert(place, f"new{number}")
        assert held(store) == expected
        assert [record.id for record in store.get_records(KEY)][place] == "new149"
        assert store.check().problems == []
        assert store.count_messages(KEY, status="archived") == 40
        archived = [m.content for m in store.get_messages(KEY, status="archived")]
        assert archived == [str(number) for number in range(40)]
        # Ids were moved along.
        assert store.add_message(KEY, ChatMessage("new7", id="new7")) == "new7"
        assert store.count_messages(KEY) == 210


def test_an_iteration_finds_its_place_though_ordinals_moved(redis_url: str) -> None:
    with opened("sync", redis_url) as store:
        store.add_messages(KEY, say(*map(str, range(600))))
        seen = []
        for place, message in enumerate(store.iter_messages(KEY)):
            seen.append(message.content)
            if place == 255:
                for number in range(100):
                    store.add_message(KEY, ChatMessage(f"new{number}"), 250)
        assert seen == [str(number) for number in range(600)]


@pytest.mark.parametrize("replace", [False, True], ids=["set_messages", "write_state"])
def test_ordinals_begin_anew_before_a_double_is_too_small(
    redis_server: RedisServer, redis_url: str, replace: bool
) -> None:
    with opened("sync", redis_url) as store, redis_server.client() as raw:
        for top, begins in [(2**52 - rows.GAP, False), (2**52 + rows.GAP, True)]:
            store.set_messages(KEY, say("a"))
            header = rows.text(raw.zrange(NAME, -1, -1)[0])
            fields = header.split("|")
            fields[7] = str(top - int(fields[9]) * rows.GAP)
            raw.zrem(NAME, header)
            raw.zadd(NAME, {"|".join(fields): "inf"})
            if replace:
                write_state(store, "b", "c", replace=True)
            else:
                store.set_messages(KEY, say("b", "c"))
            ordinals = [record.ordinal for record in store.get_records(KEY)]
            assert ordinals == ([2**45, 2**45 + rows.GAP] if begins else [2**52, 2**52 + rows.GAP])
            assert store.check().ok


@pytest.mark.parametrize("seed", range(3))
def test_mixed_statuses_are_read_as_by_a_list(redis_url: str, seed: int) -> None:
    rng = random.Random(seed)
    with opened("sync", redis_url) as store:
        model: list[list[object]] = []
        for number in range(400):
            turn = rng.random()
            if turn < 0.45 or not model:
                store.add_message(KEY, ChatMessage(str(number)))
                model.append([str(number), False])
            elif turn < 0.75:
                place = rng.randrange(len(model) + 1)
                store.add_message(KEY, ChatMessage(str(number)), place)
                model.insert(place, [str(number), False])
            elif turn < 0.9:
                n = rng.randrange(5)
                store.archive_messages(KEY, n)
                for entry in [entry for entry in model if not entry[1]][:n]:
                    entry[1] = True
            else:
                place = rng.randrange(len(model))
                store.delete_message(KEY, place)
                del model[place]
            if number % 10 == 0:
                for status, flag in (("active", False), ("archived", True)):
                    wanted = [text for text, archived in model if archived == flag]
                    a, b = rng.randrange(-9, 9), rng.randrange(-9, 99)
                    for window in (
                        {"last": 3},
                        {"start": a},
                        {"stop": b},
                        {"start": a, "stop": b},
                        {},
                    ):
                        found = store.get_messages(KEY, status=status, **window)  # type: ignore[arg-type]
                        expected = (
                            wanted[-3:]
                            if "last" in window
                            else wanted[window.get("start") : window.get("stop")]
                        )
                        assert [m.content for m in found] == expected
                    assert store.count_messages(KEY, status=status) == len(wanted)  # type: ignore[arg-type]
        assert store.check().problems == []


def test_check_sees_each_kind_of_damage(redis_server: RedisServer, redis_url: str) -> None:
    with redis_server.client(decode_responses=True) as raw:

        def damage(work: object) -> str:
            raw.flushdb()
            with opened("sync", redis_url, ttl=300) as store:
                store.add_messages(KEY, [ChatMessage("a", id="m1"), *say("b", "c")])
                assert store.check().ok
                work()  # type: ignore[operator]
                report = store.check()
                assert not report.ok
                return " ".join(report.problems)

        def third() -> tuple[str, float]:
            member, score = raw.zrange(NAME, -2, -2, withscores=True)[0]
            return member, score

        assert "are counted" in damage(lambda: raw.zremrangebyrank(NAME, -2, -2))
        assert "expire" in damage(lambda: raw.persist(NAME))
        assert "index of ids" in damage(lambda: raw.zrem(NAME, "@m1"))
        assert "neither" in damage(lambda: raw.zadd(NAME, {"rubbish": 7}))
        assert "same ordinal" in damage(
            lambda: raw.zadd(NAME, {third()[0]: raw.zrange(NAME, -3, -3, withscores=True)[0][1]})
        )
        assert "beyond" in damage(lambda: raw.zincrby(NAME, 2**30, third()[0]))
        assert "cannot be decoded" in damage(
            lambda: (
                raw.zadd(NAME, {third()[0][:-5]: third()[1]}),
                raw.zremrangebyrank(NAME, -2, -2),
            )
        )


def test_times_that_are_none_keep_nothing_from_a_backup(
    redis_server: RedisServer, redis_url: str, tmp_path: Path
) -> None:
    with opened("sync", redis_url) as store, redis_server.client(decode_responses=True) as raw:
        store.add_messages(KEY, say("a", "b"))
        store.add_message("user2", ChatMessage("c"))
        for rank, place in [(-1, 3), (-2, 6)]:  # created_at of the conversation, of a message
            member, score = raw.zrange(NAME, rank, rank, withscores=True)[0]
            fields = member.split("|")
            fields[place] = str(9 * 10**18)
            raw.zrem(NAME, member)
            raw.zadd(NAME, {"|".join(fields): score})
        assert [told.key for told in store.get_conversations(order="key")] == [KEY, "user2"]
        assert len([p for p in store.check().problems if "no time" in p]) == 2
        store.export_json(tmp_path / "chat.jsonl")
        expected = store.get_messages(KEY), store.get_messages("user2")
    with opened("sync", redis_url, namespace="again") as again:
        again.import_json(tmp_path / "chat.jsonl")
        assert (again.get_messages(KEY), again.get_messages("user2")) == expected
        assert again.get_records(KEY)[1].created_at == datetime.max.replace(tzinfo=UTC)


@pytest.mark.parametrize("face", FACES)
def test_a_state_is_inside_its_conversation(redis_url: str, face: str) -> None:
    with opened(face, redis_url, ttl=300) as store, Redis.from_url(redis_url) as raw:
        write_state(store)
        assert names_but_recent(raw) == [f"{NAME}:state"]
        assert 0 < raw.pttl(f"{NAME}:state") <= 300_001
        store.add_message(KEY, ChatMessage("a"))
        assert names_but_recent(raw) == [NAME]
        write_state(store, "b")
        assert names_but_recent(raw) == [NAME]
        found = raw.zrangebyscore(NAME, "-inf", "-inf")
        assert [member[:1] for member in found] == [b"$", b"%"]
        assert store.get_keys() == [KEY]
        write_state(store, replace=True)
        assert names_but_recent(raw) == [f"{NAME}:state"]
        assert 0 < raw.pttl(f"{NAME}:state") <= 300_001
        assert store.get_keys() == []
        assert store.erase(KEY) is True
        assert names_but_recent(raw) == []


@pytest.mark.parametrize("face", FACES)
def test_a_damaged_state_is_told(redis_url: str, face: str) -> None:
    with opened(face, redis_url) as store, Redis.from_url(redis_url) as raw:
        write_state(store, "a")
        assert store.check().ok
        raw.zremrangebyscore(NAME, "-inf", "-inf")
        raw.zadd(NAME, {"%[]": "-inf"})
        assert "no state says by whom" in store.check().problems[0]
        raw.zadd(NAME, {"$damaged": "-inf"})
        assert "cannot be read" in store.check().problems[0]
        with pytest.raises(StoreCorruptError):
            store._execute(ops.ReadState(KEY))
        assert held(store) == [""]
        write_state(store, "b")
        assert store.check().ok


def names_but_recent(raw: Redis) -> list[str]:
    return sorted(name.decode() for name in names(raw) if not name.endswith(b":recent"))
