"""A finished person of one body moved onto another body: pose, shape, clothes and texture."""

from uvatar.transfer.person import Carried, carry_over
from uvatar.transfer.registration import Registration, register
from uvatar.transfer.smpl import UserSmpl
from uvatar.transfer.texture import carried_texture

__all__ = ["Carried", "Registration", "UserSmpl", "carried_texture", "carry_over", "register"]
