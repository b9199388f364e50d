"""What clients and server share: errors, options, messages, files, and how to find a running server."""
