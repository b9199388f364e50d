"""The losses; every term is a plain function."""
