"""`harness watch`: a verdict on every save, from a pre-warmed process."""
