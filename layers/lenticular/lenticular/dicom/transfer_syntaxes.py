"""Transfer syntaxes: how a dataset and its pixels are encoded, PS3.5 Annex A and PS3.6 Annex A.

The table is our own, because an archive stores files in syntaxes that no toolkit here decodes.
Names come from pydicom's dictionary if it has them; media types are those of PS3.18 Table 8.7.3-5.
"""

from dataclasses import dataclass

from lenticular.dicom.pydicom_tables import uid_names

IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1.99"
EXPLICIT_VR_BIG_ENDIAN = "1.2.840.10008.1.2.2"
RLE_LOSSLESS = "1.2.840.10008.1.2.5"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.57"
JPEG_LOSSLESS_SV1 = "1.2.840.10008.1.2.4.70"
JPEG_LS_LOSSLESS = "1.2.840.10008.1.2.4.80"
JPEG_LS_NEAR_LOSSLESS = "1.2.840.10008.1.2.4.81"
JPEG_2000_LOSSLESS = "1.2.840.10008.1.2.4.90"
JPEG_2000 = "1.2.840.10008.1.2.4.91"
HTJ2K_LOSSLESS = "1.2.840.10008.1.2.4.201"
HTJ2K_LOSSLESS_RPCL = "1.2.840.10008.1.2.4.202"
HTJ2K = "1.2.840.10008.1.2.4.203"

COMPRESSED = (
    *(JPEG_2000_LOSSLESS, JPEG_LS_LOSSLESS, HTJ2K_LOSSLESS, JPEG_LOSSLESS_SV1, RLE_LOSSLESS),
    *(JPEG_LOSSLESS, HTJ2K_LOSSLESS_RPCL, HTJ2K, JPEG_BASELINE, JPEG_2000, JPEG_LS_NEAR_LOSSLESS),
)
"""Compressed transfer syntaxes; of each media type first the one that begins PS3.18 Table 8.7.3-5,
then the lossless ones."""
NOT_USED_IN_WEB_SERVICES = frozenset({IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN})
"""Transfer syntaxes that web services do not use, unless a client names them (PS3.18 8.7.3)."""

GE_IMPLICIT_VR_BIG_ENDIAN_PIXELS = "1.2.840.113619.5.2"

OCTET_STREAM = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class TransferSyntax:
    """A transfer syntax; `media_type` is that of a single frame as stored."""

    uid: str
    encapsulated: bool = False
    implicit: bool = False
    big_endian: bool = False
    deflated: bool = False
    big_endian_pixels: bool = False
    media_type: str = OCTET_STREAM

    @property
    def name(self) -> str:
        """The name in PS3.6."""
        return _NAMES_OF_OUR_OWN.get(self.uid) or uid_names().get(self.uid, self.uid)

    @property
    def is_referenced(self) -> bool:
        """True if the pixels are not in the file, but behind a JPIP URL."""
        return self.uid in _JPIP

    @property
    def is_video(self) -> bool:
        """True if the pixels are one stream in which frames cannot be separated."""
        return self.media_type.startswith("video/")


JPEG_ROOT = "1.2.840.10008.1.2.4."
"""The beginning of the UIDs of JPEG and its successors (PS3.6 Annex A)."""
_JPIP = frozenset(JPEG_ROOT + suffix for suffix in ("94", "95", "204", "205"))

# The UIDs below the root, by the media type of a frame.
_MEDIA_TYPES = {
    "image/jpeg": "50 51 52 53 54 55 56 57 58 59 60 61 62 63 64 65 66 70",
    "image/jls": "80 81",
    "image/jp2": "90 91",
    "image/jpx": "92 93",
    "image/jphc": "201 202 203",
    "image/jxl": "110 111 112",
    "video/mpeg": "100 100.1 101 101.1",
    "video/mp4": "102 102.1 103 103.1 104 104.1 105 105.1 106 106.1",
    "video/H265": "107 108",
}
_NAMES_OF_OUR_OWN = {
    JPEG_ROOT + "110": "JPEG XL Lossless",
    JPEG_ROOT + "111": "JPEG XL JPEG Recompression",
    JPEG_ROOT + "112": "JPEG XL",
    "1.2.840.10008.1.2.8.1": "Deflated Image Frame Compression",
    GE_IMPLICIT_VR_BIG_ENDIAN_PIXELS: "GE Private Implicit VR Big Endian",
}


def _table() -> dict[str, TransferSyntax]:
    """Return all transfer syntaxes by UID."""
    native = [
        TransferSyntax(IMPLICIT_VR_LITTLE_ENDIAN, implicit=True),
        TransferSyntax(EXPLICIT_VR_LITTLE_ENDIAN),
        TransferSyntax(DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, deflated=True),
        TransferSyntax(EXPLICIT_VR_BIG_ENDIAN, big_endian=True, big_endian_pixels=True),
        # The dataset is little endian in spite of its name; only the pixels are swapped.
        TransferSyntax(GE_IMPLICIT_VR_BIG_ENDIAN_PIXELS, implicit=True, big_endian_pixels=True),
        # Their pixels lie elsewhere, behind a JPIP URL.
        TransferSyntax(JPEG_ROOT + "94"),
        TransferSyntax(JPEG_ROOT + "95", deflated=True),
        TransferSyntax(JPEG_ROOT + "204"),
        TransferSyntax(JPEG_ROOT + "205", deflated=True),
    ]
    encapsulated = [
        TransferSyntax(RLE_LOSSLESS, encapsulated=True, media_type="image/dicom-rle"),
        TransferSyntax("1.2.840.10008.1.2.1.98", encapsulated=True),
        TransferSyntax("1.2.840.10008.1.2.8.1", encapsulated=True),
        *(
            TransferSyntax(JPEG_ROOT + suffix, encapsulated=True, media_type=media_type)
            for media_type, suffixes in _MEDIA_TYPES.items()
            for suffix in suffixes.split()
        ),
    ]
    return {syntax.uid: syntax for syntax in sorted(native + encapsulated, key=lambda s: s.uid)}


KNOWN: dict[str, TransferSyntax] = _table()


def lookup(uid: str) -> TransferSyntax:
    """Return a transfer syntax; an unknown one counts as encapsulated Explicit VR Little Endian.

    Every syntax registered since 1993 has been that (PS3.5 A.4).
    """
    known = KNOWN.get(uid)
    return known if known is not None else TransferSyntax(uid, encapsulated=True)
