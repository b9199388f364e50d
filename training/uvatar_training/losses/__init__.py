"""The losses; each term is a plain function."""
