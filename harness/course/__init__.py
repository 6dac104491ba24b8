"""Facts about the course, read from its files without importing a kata."""
