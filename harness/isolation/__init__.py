"""The learner's code: imported, recorded and supervised in its own process."""
