"""Answers as a table for docs/benchmarks.md.

python -m benchmarks --json answers.json
python -m benchmarks.report answers.json
"""

import json
import sys
from pathlib import Path


def table(answers: list[dict[str, object]]) -> str:
    """A row for each answer: ours, the limit, the ratio of the two, and what was to be reached."""
    rows = [
        "| question | chatstore | limit | ratio | to reach | reached |",
        "|---|---|---|---|---|---|",
    ]
    for found in answers:
        ours, theirs, ratio = (float(str(found[name])) for name in ("ours", "theirs", "ratio"))
        reached = "yes" if found["ok"] else "**no**"
        unit = found["unit"]
        rows.append(
            f"| {found['question']} | {ours:,.2f} {unit} | {theirs:,.2f} {unit} "
            f"| {ratio:.2f} | {found['bound']} | {reached} |"
        )
    return "\n".join(rows)


def main() -> int:
    found = json.loads(Path(sys.argv[1]).read_text())
    print(", ".join(f"{name} {value}" for name, value in found["machine"].items()))
    print()
    print(table(found["answers"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
