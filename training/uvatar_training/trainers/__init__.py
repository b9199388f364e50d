"""The training loop, and what each network's training puts into it."""
