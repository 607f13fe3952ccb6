"""The SQL store on real SQLite files: what it costs, and what it survives.

The counts of `test_walks` and `test_syncs` are exact. Everywhere else a store is hurt while it
works (killed, cut off, filled up, locked, forked, cancelled), and what is left is read with the raw
driver and compared with what a plain dict of lists says it must be.
"""
