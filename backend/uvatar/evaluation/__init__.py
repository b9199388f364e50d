"""How good a reconstruction is, measured on photos and on synthetic pictures."""
