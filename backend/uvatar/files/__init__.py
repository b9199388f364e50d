"""The user's own files: photos that are read, avatar folders that are written."""
