"""Which layout? One sorted set, beside a list, and beside a sorted set, a hash and a counter.

Every layout does the same, in one script each: append with a ttl, a count that is kept and an
operation that is known if it is repeated; read the last 20; insert in the middle of many.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import Any

from redis import Redis

from benchmarks.harness import Answer, draft, seconds
from benchmarks.redis_server import bench, show

MANY, ROUNDS = 100_000, 15

LIST = {
    "append": """
        redis.call('RPUSH', KEYS[1], ARGV[1])
        redis.call('HINCRBY', KEYS[2], 'changes', 1)
        redis.call('HSET', KEYS[2], 'last', ARGV[2])
        redis.call('PEXPIREAT', KEYS[1], ARGV[3])
        redis.call('PEXPIREAT', KEYS[2], ARGV[3])
        return 1""",
    "last": "return redis.call('LRANGE', KEYS[1], -20, -1)",
    # LINSERT finds its place by value: the element there is marked first.
    "insert": """
        local there = redis.call('LINDEX', KEYS[1], ARGV[4])
        redis.call('LSET', KEYS[1], ARGV[4], ARGV[2])
        redis.call('LINSERT', KEYS[1], 'BEFORE', ARGV[2], ARGV[1])
        redis.call('LSET', KEYS[1], ARGV[4] + 1, there)
        return 1""",
}
THREE = {
    "append": """
        local n = redis.call('HINCRBY', KEYS[2], 'serial', 1)
        redis.call('ZADD', KEYS[1], n * 1048576, n)
        redis.call('HSET', KEYS[3], n, ARGV[1])
        redis.call('HSET', KEYS[2], 'last', ARGV[2])
        for i = 1, 3 do redis.call('PEXPIREAT', KEYS[i], ARGV[3]) end
        return 1""",
    "last": "return redis.call('HMGET', KEYS[3], unpack(redis.call('ZRANGE', KEYS[1], -20, -1)))",
    "insert": """
        local at = redis.call('ZRANGE', KEYS[1], ARGV[4], ARGV[4] + 1, 'WITHSCORES')
        local n = redis.call('HINCRBY', KEYS[2], 'serial', 1)
        redis.call('ZADD', KEYS[1], (at[2] + at[4]) / 2, n)
        redis.call('HSET', KEYS[3], n, ARGV[1])
        for i = 1, 3 do redis.call('PEXPIREAT', KEYS[i], ARGV[3]) end
        return 1""",
}
ONE = {
    "append": """
        local head = redis.call('ZRANGE', KEYS[1], -1, -1)[1] or '~0'
        local n = string.sub(head, 2) + 1
        redis.call('ZADD', KEYS[1], '+inf', '~' .. n, n * 1048576, '+' .. n .. '|' .. ARGV[1])
        redis.call('ZREM', KEYS[1], head)
        redis.call('PEXPIREAT', KEYS[1], ARGV[3])
        return 1""",
    "last": "return redis.call('ZRANGE', KEYS[1], -21, -1, 'WITHSCORES')",
    "insert": """
        local head = redis.call('ZRANGE', KEYS[1], -1, -1)[1]
        local at = redis.call('ZRANGE', KEYS[1], ARGV[4], ARGV[4] + 1, 'WITHSCORES')
        local n = string.sub(head, 2) + 1
        local middle = (at[2] + at[4]) / 2
        redis.call('ZADD', KEYS[1], '+inf', '~' .. n, middle, '+' .. n .. '|' .. ARGV[1])
        redis.call('ZREM', KEYS[1], head)
        redis.call('PEXPIREAT', KEYS[1], ARGV[3])
        return 1""",
}
LAYOUTS = {"a list and a hash": LIST, "a set and two hashes": THREE, "one sorted set": ONE}


def answers() -> Iterator[Answer]:
    with bench() as (_, raw, _store):
        payload, number = draft().payload, count()
        best: dict[tuple[str, str], float] = {}
        used: dict[str, float] = {}
        calls = {}
        for place, (name, scripts) in enumerate(LAYOUTS.items()):
            tag = f"{{{place}}}"
            for what, text in scripts.items():
                calls[name, what] = _call(raw, text, tag, payload, number)
            pipe = raw.pipeline(transaction=False)
            for _ in range(MANY):
                calls[name, "append"](pipe)
            pipe.execute()
            keys = raw.scan_iter(f"{tag}*")
            used[name] = sum(raw.memory_usage(key, samples=0) for key in keys) / MANY
        for _ in range(ROUNDS):  # in turns: the machine drifts
            for which, call in calls.items():
                taken = seconds(partial(call, raw), 100)
                best[which] = min(taken, best.get(which, taken))
        for (name, what), taken in best.items():
            yield _figure(f"{name}: {what}", taken * 1e6, "us")
        for name, size in used.items():
            yield _figure(f"{name}: memory of a message", size, "bytes")


def _figure(question: str, value: float, unit: str) -> Answer:
    return Answer(question, value, value, 1.0, unit, "to compare", ok=True)


def _call(
    raw: Redis, text: str, tag: str, payload: str, number: Iterator[int]
) -> Callable[[Any], object]:
    sha = raw.script_load(text)
    keys = (tag, f"{tag}:facts", f"{tag}:payloads")
    until = 4_000_000_000_000

    def call(client: Any) -> object:
        arguments = (payload, next(number), until, MANY // 2)
        return client.execute_command("EVALSHA", sha, 3, *keys, *arguments)

    return call


if __name__ == "__main__":
    show(answers)
