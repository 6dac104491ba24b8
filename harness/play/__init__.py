"""`harness play`: a page in the browser on the learner's own model."""
