"""A Cluster of three: the same calls, whatever slots the keys have."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from chatstore import ChatMessage, ConflictError, KeyNotFoundError, StoreUnavailableError
from chatstore.importers.between import content_digest, copy_store
from tests.redis.given import FACES, KEY, held, opened, say
from tests.redis.test_round_trips import CALLS
from tests.servers import RedisCluster


@pytest.fixture
def cluster(redis_cluster: RedisCluster) -> Iterator[RedisCluster]:
    redis_cluster.flush()
    yield redis_cluster
    redis_cluster.flush()


@pytest.mark.parametrize("face", FACES)
def test_every_call_works(cluster: RedisCluster, face: str) -> None:
    with opened(face, cluster.url, ttl=300) as store:
        for call in CALLS.values():
            store.set_messages(KEY, [ChatMessage("a", id="m1"), *say("b", "c", "d")])
            store.erase("fork")
            call(store)
        for key in ("}{", "{a}b", "a b", "é", "user*"):
            store.add_message(key, ChatMessage(key))
            assert held(store, key) == [key]
        assert store.check().ok


@pytest.mark.parametrize("face", FACES)
def test_conversations_on_all_nodes_are_listed(cluster: RedisCluster, face: str) -> None:
    with opened(face, cluster.url, ttl=300) as store:
        keys = [f"user{number:02}" for number in range(60)]
        for key in keys:
            store.add_message(key, ChatMessage(key))
        for node in cluster.nodes:
            with node.client() as raw:
                assert raw.dbsize() > 5
                assert all(raw.pttl(name) > 0 for name in raw.scan_iter())
        assert store.get_keys() == keys
        assert [c.key for c in store.get_conversations(limit=3)] == keys[:-4:-1]
        assert store.check().conversations == 60


@pytest.mark.parametrize("face", FACES)
def test_a_copy_to_another_slot(cluster: RedisCluster, face: str) -> None:
    with opened(face, cluster.url, ttl=300) as store:
        store.add_messages(KEY, [ChatMessage("a", id="m1"), *say("b", "c")])
        store.archive_messages(KEY, 1)
        store.set_metadata(KEY, {"a": 1})
        store.set_ttl(KEY, 50)
        for number in range(10):
            to = f"fork{number}"
            assert store.copy_conversation(KEY, to, stop=2) == 2
            assert held(store, to) == ["a", "b"]
            copied = store.get_conversation(to)
            assert copied is not None
            assert (copied.metadata, copied.ttl, copied.count) == ({"a": 1}, 50.0, 2)
            assert store.count_messages(to, status="archived") == 1
        with pytest.raises(ConflictError):
            store.copy_conversation(KEY, "fork1")
        with pytest.raises(KeyNotFoundError):
            store.copy_conversation("nobody", "new")
        with pytest.raises(ValueError, match="stop"):
            store.copy_conversation(KEY, "new", stop=-3)
        assert store.check().problems == []
        for node in cluster.nodes:  # nothing was left aside
            with node.client() as raw:
                assert not [name for name in raw.scan_iter() if b":new:" in name]


@pytest.mark.parametrize("face", FACES)
def test_there_is_no_replica_to_wait_for(cluster: RedisCluster, face: str) -> None:
    with opened(face, cluster.url, wait_replicas=1, wait_ms=10) as store:
        for key in "abc":
            with pytest.raises(StoreUnavailableError, match="0 of 1"):
                store.add_message(key, ChatMessage("x"))
            assert held(store, key) == ["x"]


@pytest.fixture(scope="module")
def replicated() -> Iterator[RedisCluster]:
    with RedisCluster(size=2, replicated=True) as cluster:
        yield cluster


@pytest.mark.parametrize("face", FACES)
def test_replicas_confirm_on_each_node(replicated: RedisCluster, face: str) -> None:
    cluster = replicated
    cluster.flush()
    keys = [f"user{number}" for number in range(20)]
    with opened(face, cluster.url, ttl=300, wait_replicas=1, wait_ms=5000) as store:
        for key in keys:
            store.add_message(key, ChatMessage(key))
            with cluster.replicas[place(cluster, key)].client() as raw:
                # Not soon, but now: the call has returned.
                assert raw.execute_command("DBSIZE") > 0
                raw.execute_command("READONLY")
                members = raw.zrange(f"chatstore::{{{key}}}", 0, -1)
                assert [member[:1] for member in members] == [b"+", b"~"]
        assert {place(cluster, key) for key in keys} == {0, 1}
    with opened(face, cluster.url, ttl=300, wait_replicas=1, wait_ms=50) as store:
        cluster.replicas[0].process.pause()
        try:
            for key in keys:
                if place(cluster, key) == 0:
                    with pytest.raises(StoreUnavailableError, match="0 of 1"):
                        store.add_message(key, ChatMessage("x"))
                else:
                    store.add_message(key, ChatMessage("x"))
                assert store.count_messages(key) == 2
        finally:
            cluster.replicas[0].process.resume()


def place(cluster: RedisCluster, key: str) -> int:
    """Which node has a conversation."""
    return cluster.nodes.index(cluster.node_of(f"chatstore::{{{key}}}"))


@pytest.mark.parametrize("face", FACES)
def test_a_store_is_moved_there_and_back(
    cluster: RedisCluster, face: str, redis_url: str, tmp_path: Path
) -> None:
    with opened("sync", redis_url, ttl=300) as source, opened(face, cluster.url) as target:
        for number in range(20):
            source.add_messages(f"user{number}", [ChatMessage("a", id="m1"), *say("b")])
            source.set_metadata(f"user{number}", {"n": number})
        if face == "sync":
            report = copy_store(source, target)
            assert (report.conversations, report.problems) == (20, [])
            assert content_digest(source) == content_digest(target)
            return
        source.export_json(tmp_path / "a.jsonl")
        target.import_json(tmp_path / "a.jsonl")
        target.export_json(tmp_path / "b.jsonl")
        one, other = (
            (tmp_path / name).read_bytes().splitlines()[1:] for name in ("a.jsonl", "b.jsonl")
        )
        assert one == other
