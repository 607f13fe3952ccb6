"""The SQL store on a real PostgreSQL, under load and under attack."""
