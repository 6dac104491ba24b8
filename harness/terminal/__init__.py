"""Lines of text, and how a terminal prints them; imports nothing else of the harness."""
