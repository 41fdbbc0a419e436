"""The refusals: what the system says no to, and why.

    LenticularError
    ├── InvalidRequest            the request cannot be understood
    │   └── MalformedParameter    a parameter that should be a number is none
    ├── InvalidInstance           the bytes are not a DICOM instance that can be stored
    ├── NotFound                  no such study, series, instance, frame or bulk data
    │   └── Gone                  it was stored, and was deleted
    ├── Conflict                  it contradicts what is already stored
    ├── LengthRequired            the body came without its length
    ├── TooLarge                  a limit of the service would be passed
    ├── Unacceptable              nothing the client accepts can be served
    ├── UnsupportedMedia          the body has a type that is not accepted
    ├── NotRenderable             the instance holds nothing that can become a picture
    ├── StorageFull               there is no room for what was sent
    ├── Unavailable               what is needed to answer is not there now; later it is
    └── RangeUnsatisfiable        the byte range is outside the content

An error names the refusal; `web/errors.py` alone knows which status that is. The message is a
sentence that a person can act on and never holds patient data.
"""

from enum import IntEnum


class FailureReason(IntEnum):
    """Why an instance is not stored, in FailureReason (0008,1197): PS3.18 I.2.2, PS3.4 GG.4.1."""

    PROCESSING_FAILURE = 0x0110
    DUPLICATE_SOP_INSTANCE = 0x0111
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    OUT_OF_RESOURCES = 0xA700
    DATA_SET_DOES_NOT_MATCH_SOP_CLASS = 0xA900
    CANNOT_UNDERSTAND = 0xC000


class WarningReason(IntEnum):
    """Reasons of warnings about stored instances, Warning Reason (0008,1196): PS3.18 I.2.1."""

    COERCION_OF_DATA_ELEMENTS = 0xB000
    ELEMENTS_DISCARDED = 0xB006
    DATA_SET_DOES_NOT_MATCH_SOP_CLASS = 0xB007


class LenticularError(Exception):
    """A refusal with a sentence for the person who asked."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class InvalidRequest(LenticularError):
    """The request cannot be understood: a parameter, a header or the body is malformed."""


class MalformedParameter(InvalidRequest):
    """A parameter that should be a number is none."""


class InvalidInstance(LenticularError):
    """The bytes are not a DICOM instance that can be stored.

    `failure_reason` is what STOW-RS reports in FailureReason (0008,1197).
    """

    def __init__(
        self, detail: str, failure_reason: FailureReason = FailureReason.CANNOT_UNDERSTAND
    ) -> None:
        super().__init__(detail)
        self.failure_reason = failure_reason


class NotFound(LenticularError):
    """There is no such study, series, instance, frame or bulk data."""


class Gone(NotFound):
    """The study, series or instance was stored, and was deleted."""


class Conflict(LenticularError):
    """The request contradicts what is already stored."""


class LengthRequired(LenticularError):
    """The body came without its length, and not in chunks either."""


class TooLarge(LenticularError):
    """A limit of the service would be passed."""


class Unacceptable(LenticularError):
    """Nothing that the client accepts can be served (PS3.18 8.7)."""


class UnsupportedMedia(LenticularError):
    """The body has a media type or encoding that is not accepted."""


class NotRenderable(LenticularError):
    """The instance holds nothing that can become a picture, or no decoder for it exists here."""


class StorageFull(LenticularError):
    """The storage or the index has no room."""


class Unavailable(LenticularError):
    """The index or the storage does not answer: try again after `retry_after` seconds."""

    def __init__(self, detail: str, retry_after: int = 5) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class DamagedRow(LenticularError):
    """A row of the index cannot be read, and its content cannot be restored."""


class OutcomeUnknown(Unavailable):
    """The database went away before it said whether a change was committed."""


class RangeUnsatisfiable(LenticularError):
    """The requested byte range is outside the content."""

    def __init__(self, detail: str, size: int) -> None:
        super().__init__(detail)
        self.size = size
