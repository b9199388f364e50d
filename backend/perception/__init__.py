"""People, landmarks and masks of a photo, from pretrained models with permissive licences."""

from backend.perception.perception import Perception
from backend.perception.person import Hand, Person

__all__ = ["Hand", "Perception", "Person"]
