"""A finished person of one body moved onto another body: pose, shape, clothes and texture."""

from uvatar.transfer.person import TransferredFit, transfer_fit
from uvatar.transfer.registration import Registration, register
from uvatar.transfer.smpl import UserSmpl
from uvatar.transfer.texture import transfer_texture

__all__ = ["Registration", "TransferredFit", "UserSmpl", "register", "transfer_fit", "transfer_texture"]
