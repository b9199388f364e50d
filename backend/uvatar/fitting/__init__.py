"""A body fitted to what is seen of a person: starts, terms, solver."""
