"""The backend's output: the result record and its pictures."""
