"""How good the avatars are: tables over real photos and over rendered people whose truth is known."""
