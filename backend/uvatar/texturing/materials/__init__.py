"""Of which material each place of the body is, seen or not."""
