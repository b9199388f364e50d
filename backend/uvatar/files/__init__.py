"""The user's files: photos to read, and avatar folders to write."""
