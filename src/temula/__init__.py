"""Temula: an event platform with one side for what it uses and one for what others build on it."""
