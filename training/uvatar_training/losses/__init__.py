"""What the networks are trained to make small; every term is a plain function."""
