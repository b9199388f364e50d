"""Skirts, dresses and long coats as a mesh of their own: found in the mask, built of rings around both legs."""
