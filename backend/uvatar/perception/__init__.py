"""People, landmarks and masks of a photo, from pretrained models with permissive licences."""

from uvatar.perception.perception import Perception
from uvatar.perception.person import Hand, Person

__all__ = ["Hand", "Perception", "Person"]
