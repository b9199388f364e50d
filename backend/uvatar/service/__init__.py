"""The server: its listeners, its journal, its model processes, and the client that talks to it."""
