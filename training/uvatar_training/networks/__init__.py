"""How networks are started, and made to train faster than PyTorch alone has them train."""
