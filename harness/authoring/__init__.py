"""Tools for authors and maintainers: the gate, generated pages, pictures, publishing."""
