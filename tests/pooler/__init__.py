"""The store behind pgbouncer in transaction mode: `pytest -m pgbouncer`."""
