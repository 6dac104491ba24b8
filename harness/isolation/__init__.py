"""The learner's code: imported, recorded and supervised, so that it can only end its own run."""
