"""What networks and processes run on: weights, memory, versions, the terminal, child processes."""
