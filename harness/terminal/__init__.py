"""Lines of text on a terminal; imports nothing else of the harness."""
