"""`harness watch`: the verdict at every save, from a pre-warmed process."""
