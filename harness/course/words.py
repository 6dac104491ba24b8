"""What a learner reads about the course: where it is, and which katas it has."""

from __future__ import annotations

NOT_A_COURSE = "No katas here: neither this folder nor one above it holds katas/kNN_*/. Go to your clone."
