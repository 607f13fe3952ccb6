"""PostgreSQL: a connection for each who writes, and one thread for all tasks that append."""
