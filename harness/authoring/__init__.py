"""What authors of katas and maintainers run: the gate, slip trials, generated pages and pictures."""
