"""Pair programming."""
