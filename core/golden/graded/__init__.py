"""Checks that something grades, a model or a program, and that are not exact: kept apart, and marked as such."""
