"""The engine: what is loaded once, and the order of the stages that make avatars from photos."""
