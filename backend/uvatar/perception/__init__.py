"""People, landmarks and masks of a photo, from pretrained models with permissive licences."""

from uvatar.data.person import Hand, Person
from uvatar.perception.perception import Perception

__all__ = ["Hand", "Perception", "Person"]
