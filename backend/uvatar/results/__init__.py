"""What leaves the backend: the result record and its pictures."""
