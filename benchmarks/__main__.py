"""Runs the questions that are named, or all."""

import argparse
import json
import platform
import sqlite3
import sys
from importlib import import_module
from pathlib import Path

from benchmarks.harness import HEADER

QUESTIONS = (
    "append",
    "writers",
    "slow_disk",
    "last",
    "whole",
    "middle",
    "batch",
    "pages",
    "transfer",
    "opening",
    "disk",
    "peers",
    "adapters",
    "redis_append",
    "redis_last",
    "redis_batch",
    "redis_middle",
    "redis_tasks",
    "redis_listing",
    "redis_adapters",
    "redis_memory",
    "redis_layout",
    "postgres_append",
    "postgres_last",
    "postgres_tasks",
    "postgres_peers",
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("questions", nargs="*", help=f"of {', '.join(QUESTIONS)}; all if none")
    parser.add_argument("--json", type=Path, help="write the answers here, too")
    chosen = parser.parse_args()
    unknown = set(chosen.questions) - set(QUESTIONS)
    if unknown:
        parser.error(f"no question is called {', '.join(sorted(unknown))}")
    print(HEADER, flush=True)
    found = []
    for name in chosen.questions or QUESTIONS:
        for answer in import_module(f"benchmarks.{name}").answers():
            print(answer.line(), flush=True)
            found.append({"file": name, **answer.as_json()})
    if chosen.json:
        machine = {
            "python": platform.python_version(),
            "sqlite": sqlite3.sqlite_version,
            "system": platform.platform(),
        }
        chosen.json.write_text(json.dumps({"machine": machine, "answers": found}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
