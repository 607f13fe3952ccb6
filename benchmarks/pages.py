"""What does a page of 50 keys, or of 50 conversations, cost among 100 000?"""

from collections.abc import Iterator

from benchmarks.harness import Answer, at_most, folder, message, raw, seconds
from chatstore import Conversation, open_store
from chatstore.simple import SimpleChatStore

KEYS = "SELECT key FROM chatstore_conversation WHERE namespace='' AND key > ? ORDER BY key LIMIT 50"
RECENT = (
    "SELECT key, count, updated_at FROM chatstore_conversation WHERE namespace=''"
    " AND (updated_at, key) < (?, ?) ORDER BY updated_at DESC, key DESC LIMIT 50"
)


def answers() -> Iterator[Answer]:
    with folder() as here:
        with SimpleChatStore() as some:
            for i in range(100_000):
                some.add_message(f"user{i:06}", message(100))
            some.export_json(here / "some.jsonl")
        with open_store(here / "chat.db", durability="normal") as store:
            store.import_json(here / "some.jsonl")
            conn = raw(here / "chat.db")
            for place, after in (("the first", "user000010"), ("a late", "user099900")):
                mark = store.get_conversation(after)
                assert isinstance(mark, Conversation)
                stored = "SELECT updated_at FROM chatstore_conversation WHERE key=?"
                (at,) = conn.execute(stored, (after,)).fetchone()
                yield at_most(
                    f"{place} page of 50 keys, beside a raw keyset page",
                    6,
                    lambda after=after: seconds(lambda: store.get_keys(after=after, limit=50), 500),
                    lambda after=after: seconds(
                        lambda: conn.execute(KEYS, (after,)).fetchall(), 500
                    ),
                )
                yield at_most(
                    f"{place} page of 50 conversations, beside a raw one",
                    6,
                    lambda mark=mark: seconds(
                        lambda: store.get_conversations(after=mark, limit=50), 200
                    ),
                    lambda at=at, after=after: seconds(
                        lambda: conn.execute(RECENT, (at, after)).fetchall(), 200
                    ),
                )
            conn.close()
