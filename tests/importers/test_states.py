"""What adapters keep beside conversations, copied between stores of all kinds."""

from pathlib import Path

from chatstore import open_store
from chatstore import operations as ops
from chatstore.importers.between import content_digest, copy_store
from chatstore.testing.conformance.states_transfers import fill, known, out, take, without_source


def test_a_copy_through_all_kinds_of_stores_loses_nothing(tmp_path: Path, redis_url: str) -> None:
    with (
        open_store(tmp_path / "first.db", ttl=10_000) as first,
        open_store(redis_url) as second,
        open_store("memory://") as third,
        open_store(tmp_path / "last.db") as last,
    ):
        fill(first)
        digest = content_digest(first)
        for source, target in ((first, second), (second, third), (third, last)):
            report = copy_store(source, target)
            assert (report.conversations, report.messages) == (4, 6)
            assert (report.verified, report.problems) == (4, [])
            assert report.digest == content_digest(target) == digest
            assert known(target) == known(source)
            assert without_source(out(target)) == without_source(out(source))
            assert target.check().problems == []
            again = copy_store(source, target, on_conflict="skip")
            assert (again.conversations, again.skipped, again.problems) == (0, 4, [])


def test_the_digest_and_the_comparison_count_states(tmp_path: Path) -> None:
    with open_store("memory://") as source:
        fill(source)
        for key in ("e bare", "f alone"):
            with open_store("memory://") as lossy:
                take(lossy, out(source))
                assert content_digest(lossy) == content_digest(source)
                lossy._shelf.beside.pop(key)  # type: ignore[attr-defined]
                assert content_digest(lossy) != content_digest(source)
        with open_store("memory://") as other:
            restore = other._restore

            def loses(*arguments: object) -> object:
                report = restore(*arguments)  # type: ignore[arg-type]
                other._shelf.beside.pop("e bare")  # type: ignore[attr-defined]
                other._execute(ops.DeleteState("f alone", None))
                return report

            other._restore = loses  # type: ignore[method-assign, assignment]
            problems = copy_store(source, other).problems
            assert problems == [
                "'e bare' has other content in the target",
                "'f alone' is missing in the target",
            ]
