"""Which known mistake explains a failed test."""
