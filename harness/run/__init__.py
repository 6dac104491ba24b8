"""One pytest run of katas, from its arguments to the block that ends it."""
