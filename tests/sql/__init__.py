"""Tests of the ground floor of the SQL stores, and of the stores themselves."""
