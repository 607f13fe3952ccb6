"""SQLite: one connection that writes, led by one caller at a time, and a few that read."""
