"""The commands of `harness`, one module a command."""
