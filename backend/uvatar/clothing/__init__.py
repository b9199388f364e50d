"""Clothing: the outline of clothes and hair on the body."""
