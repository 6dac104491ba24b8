"""Passed tests, and the katas that they unlock."""
