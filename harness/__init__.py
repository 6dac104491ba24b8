"""The pytest plugin and the `harness` command that carry a learner through the katas."""

__version__ = "0.1.0"
