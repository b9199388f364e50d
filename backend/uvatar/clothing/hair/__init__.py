"""Long hair as a mesh beside the body."""
