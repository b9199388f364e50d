"""What clients and server agree on: errors, options, messages and files, and where a running server is found."""
