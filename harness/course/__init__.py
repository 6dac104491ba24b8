"""Facts about the course, read from files without importing a kata."""
