"""Decisions: pure and synchronous. No clock, no I/O, no chance, no logging; one policy, one file."""
