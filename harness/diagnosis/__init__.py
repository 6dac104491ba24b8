"""The known mistake that explains a failed test."""
