"""Finds people, landmarks and masks in a photo, with pretrained models under permissive licences."""

from uvatar.data.person import Hand, Person
from uvatar.perception.perception import Perception

__all__ = ["Hand", "Perception", "Person"]
