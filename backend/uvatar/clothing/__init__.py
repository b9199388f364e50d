"""Clothing: shoes, and the outline of clothes and hair on the body."""
