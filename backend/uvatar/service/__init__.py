"""The server, with its listeners, journal and model processes, and the client that talks to it."""
