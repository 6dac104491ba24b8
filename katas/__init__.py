"""The katas: one package each, numbered in the order in which they build on one another."""
