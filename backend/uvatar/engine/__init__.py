"""What is loaded once, and the order of the stages that make an avatar of a photo."""
