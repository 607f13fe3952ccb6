"""How fast the store is beside the limit: one question per file, each answered by a ratio.

The limit is the bare driver doing the same statements with payloads that are already encoded. Both
are timed in turns in one run, because machines drift; what counts is the median of the ratios.

    python -m benchmarks                 all questions
    python -m benchmarks append last     some of them
    python -m benchmarks --json OUT      and the answers as JSON, for `benchmarks.report`
"""
