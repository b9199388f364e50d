"""Runtime support: weights, memory, versions, the terminal, child processes."""
