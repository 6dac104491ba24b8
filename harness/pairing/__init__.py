"""Pair programming: who drives, for how long, and the summary."""
