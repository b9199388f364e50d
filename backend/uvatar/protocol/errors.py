"""The error that clients and server exchange: a message, a code for programs, and a suggested fix."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class Code(StrEnum):
    """The codes of all errors, as they are sent. docs/protocol.md tells clients of each."""

    # A message or a request
    MALFORMED = "malformed"  # frames or fields are not as the protocol has them
    TOO_LARGE = "too-large"  # a limit is exceeded
    UNSUPPORTED_VERSION = "unsupported-version"  # the two sides' protocol versions differ
    WRONG_TOKEN = "wrong-token"  # noqa: S105 (the token is not this server's)
    UNKNOWN_MESSAGE = "unknown-message"  # there is no such kind of request
    BAD_OPTION = "bad-option"  # there is no such option, or it cannot have this value

    # A job
    UNKNOWN_JOB = "unknown-job"  # there is no such job, or no longer
    QUEUE_FULL = "queue-full"  # too many photos wait
    JOB_ID_TAKEN = "job-id-taken"  # the id belongs to a job with other photos or options
    NO_RESULT = "no-result"  # the photo is not done, has failed, or was merged
    RESULT_DAMAGED = "result-damaged"  # the stored result cannot be read
    CANCELLED = "cancelled"  # the job was cancelled before this photo was done; in the record of a batch

    # A photo
    BAD_PHOTO = "bad-photo"  # it cannot be decoded, or shows nobody
    BAD_NPZ = "bad-npz"  # the people given for it are missing, or are not those in it
    LOST = "lost"  # neither the photo nor what became of it is on the disk
    OUT_OF_MEMORY = "out-of-memory"  # there was not enough memory for it, or for the models

    # The model processes and what they load
    MODEL_CRASHED = "model-crashed"  # the process died twice on this photo
    MODEL_HUNG = "model-hung"  # a stage took too long, twice
    MODELS_NOT_LOADED = "models-not-loaded"  # the process cannot start
    SELF_TEST_FAILED = "self-test-failed"  # it starts, but makes wrong avatars
    NO_WEIGHTS = "no-weights"  # there are no weights for what the job asks for
    BAD_WEIGHTS = "bad-weights"  # a file of the user's cannot be used, and was left out
    NO_BODY = "no-body"  # the files of the SMPL body are missing or cannot be used

    # Disks and folders
    DISK_FULL = "disk-full"  # photos, journal, result or avatars cannot be written for lack of room
    DATA_FOLDER = "data-folder"  # the data folder cannot be used
    UNREADABLE = "unreadable"  # a photo's file cannot be read
    UNWRITABLE = "unwritable"  # the folder for avatars cannot be written to
    BAD_LIST = "bad-list"  # a file is neither a photo nor a list of photos
    NO_PHOTOS = "no-photos"  # a folder or list holds none

    # Networks
    NO_LOOPBACK = "no-loopback"  # programs of this computer cannot reach each other
    PORT_TAKEN = "port-taken"  # the server's port cannot be used
    NO_ENCRYPTION = "no-encryption"  # the network port cannot be encrypted
    BAD_ADDRESS = "bad-address"  # an address is not HOST:PORT
    BAD_ACCESS = "bad-access"  # an access file, or a file with keys or a token, cannot be used
    NO_RAY = "no-ray"  # Ray is not installed

    # Anything else
    SERVER_ERROR = "server-error"  # a fault of the server's own; its log has the details
    UNKNOWN = "unknown"  # this version does not know the code that another one has sent

    @classmethod
    def of(cls, code: Any) -> Code:
        """The code with this text, or `UNKNOWN`, because a newer server may send others."""
        try:
            return cls(code)
        except ValueError:
            return cls.UNKNOWN


class UvatarError(ValueError):
    """A request that cannot be fulfilled or data that cannot be read; sent to clients as an error reply.

    Attributes:
        message: what is wrong, in the artist's words.
        code: what programs compare.
        fix: what to do about it.
    """

    def __init__(
        self,
        message: str,
        code: Code = Code.MALFORMED,
        fix: str = "Update the add-on and the backend to the same version.",
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.fix = fix

    def as_dict(self) -> dict[str, str]:
        """The error as it crosses the wire: code, message, fix."""
        return {"code": str(self.code), "message": self.message, "fix": self.fix}

    @classmethod
    def from_dict(cls, error: Mapping[str, Any]) -> UvatarError:
        """The error that an error reply, or a photo's entry in a job's status, describes."""
        return cls(str(error.get("message", "Unknown error.")), Code.of(error.get("code")), str(error.get("fix", "")))


def first_line(error: BaseException) -> str:
    """What an exception says, in one line; its type where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
