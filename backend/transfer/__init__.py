"""A finished person of one body moved onto another body: pose, shape, clothes and texture."""

from backend.transfer.person import Carried, carry_over
from backend.transfer.registration import Registration, register
from backend.transfer.smpl import UserSmpl
from backend.transfer.texture import carried_texture

__all__ = ["Carried", "Registration", "UserSmpl", "carried_texture", "carry_over", "register"]
