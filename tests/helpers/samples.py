"""A factory of DICOM files for the tests: real ones, small, and the same on every run.

Files are made with pydicom and numpy, so the tests need nothing but the repository. A UID comes
from the labels it stands for: `ct(study="a", instance=2)` is one and the same instance wherever
it is asked for, and no two labels share a UID. `gallery()` has one file of every kind;
`packaged_files()` finds those that pydicom's own distribution brings along.
"""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    EncapsulatedPDFStorage,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
    SecondaryCaptureImageStorage,
)

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
MULTI_FRAME_TRUE_COLOUR = "1.2.840.10008.5.1.4.1.1.7.4"
MULTI_FRAME_WORD = "1.2.840.10008.5.1.4.1.1.7.3"

Label = str | int


def uid(*labels: Label) -> str:
    """A valid UID that stands for these labels, the same on every run (PS3.5 B.2)."""
    digest = hashlib.sha256("|".join(map(str, labels)).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:15])}"


def study_uid(study: Label) -> str:
    """The Study Instance UID of the study of this label."""
    return uid("study", study)


def series_uid(study: Label, series: Label = 1) -> str:
    """The Series Instance UID of a series of the study."""
    return uid("study", study, "series", series)


def sop_uid(study: Label, series: Label = 1, instance: Label = 1) -> str:
    """The SOP Instance UID of an instance of the series."""
    return uid("study", study, "series", series, "instance", instance)


def path(study: Label, series: Label = 1, instance: Label = 1) -> str:
    """The DICOMweb path of the instance below the base URL."""
    return (
        f"/studies/{study_uid(study)}/series/{series_uid(study, series)}"
        f"/instances/{sop_uid(study, series, instance)}"
    )


def ramp(rows: int = 16, columns: int = 16, frames: int = 1, seed: Label = 0) -> NDArray[np.uint16]:
    """Pixels that differ from frame to frame and from seed to seed: frames, rows, columns."""
    offset = int(hashlib.sha256(str(seed).encode()).hexdigest()[:4], 16) % 997
    values = np.arange(frames * rows * columns, dtype=np.uint32) * 7 + offset
    return (values % 4096).astype(np.uint16).reshape(frames, rows, columns)


def dataset(study: Label = 1, series: Label = 1, instance: Label = 1, **attributes: Any) -> Dataset:
    """A CT image without pixels; an attribute given as None is left out."""
    number = int(instance) if str(instance).isdigit() else 1
    values: dict[str, Any] = {
        "SpecificCharacterSet": "ISO_IR 192",
        "SOPClassUID": CT_IMAGE_STORAGE,
        "SOPInstanceUID": sop_uid(study, series, instance),
        "StudyDate": "20240229",
        "SeriesDate": "20240229",
        "StudyTime": "101112.5",
        "AccessionNumber": f"A{study}"[:16],
        "Modality": "CT",
        "Manufacturer": "Lenticular",
        "ReferringPhysicianName": "Referrer^Rita",
        "StudyDescription": "Head plain",
        "SeriesDescription": f"Series {series}"[:64],
        "PatientName": "Doe^Jane",
        "PatientID": f"P{study}"[:64],
        "PatientBirthDate": "19700101",
        "PatientSex": "F",
        "BodyPartExamined": "HEAD",
        "StudyInstanceUID": study_uid(study),
        "SeriesInstanceUID": series_uid(study, series),
        "StudyID": "1",
        "SeriesNumber": int(series) if str(series).isdigit() else 1,
        "InstanceNumber": number,
        "ImagePositionPatient": [0.0, 0.0, float(number)],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "RescaleIntercept": -1024,
        "RescaleSlope": 1,
        "WindowCenter": [40, 600],
        "WindowWidth": [400, 2800],
    }
    result = Dataset()
    for keyword, value in (values | attributes).items():
        if value is not None:
            setattr(result, keyword, value)
    return result


def with_pixels(
    base: Dataset,
    pixels: NDArray[Any],
    *,
    photometric: str = "MONOCHROME2",
    bits_stored: int | None = None,
    signed: bool = False,
) -> Dataset:
    """The dataset with native pixels: frames, rows, columns and perhaps samples."""
    base.Rows, base.Columns = pixels.shape[1:3]
    base.SamplesPerPixel = pixels.shape[3] if pixels.ndim == 4 else 1
    if base.SamplesPerPixel > 1:
        base.PlanarConfiguration = 0
    if pixels.shape[0] > 1:
        base.NumberOfFrames = pixels.shape[0]
    base.PhotometricInterpretation = photometric
    base.BitsAllocated = pixels.dtype.itemsize * 8
    base.BitsStored = bits_stored or base.BitsAllocated
    base.HighBit = base.BitsStored - 1
    base.PixelRepresentation = int(signed)
    content = pixels.tobytes()
    base.PixelData = content + b"\0" * (len(content) % 2)
    base["PixelData"].VR = "OB" if base.BitsAllocated == 8 else "OW"
    return base


def encode(content: Dataset, transfer_syntax: str = ExplicitVRLittleEndian) -> bytes:
    """The dataset as a DICOM file (PS3.10)."""
    syntax = UID(transfer_syntax)
    content.file_meta = FileMetaDataset()
    content.file_meta.TransferSyntaxUID = syntax
    content.file_meta.MediaStorageSOPClassUID = content.get("SOPClassUID", CT_IMAGE_STORAGE)
    content.file_meta.MediaStorageSOPInstanceUID = content.get("SOPInstanceUID", "") or "2.25.1"
    if syntax == ExplicitVRBigEndian and content.get("BitsAllocated") == 16:
        content.PixelData = np.frombuffer(content.PixelData, "<u2").astype(">u2").tobytes()
    buffer = io.BytesIO()
    pydicom.dcmwrite(
        buffer,
        content,
        implicit_vr=syntax == ImplicitVRLittleEndian,
        little_endian=syntax != ExplicitVRBigEndian,
        enforce_file_format=True,
    )
    return buffer.getvalue()


def ct(
    study: Label = 1,
    series: Label = 1,
    instance: Label = 1,
    *,
    size: int = 16,
    transfer_syntax: str = ExplicitVRLittleEndian,
    **attributes: Any,
) -> bytes:
    """A CT image of `size` by `size` pixels, signed through its rescale intercept."""
    pixels = ramp(size, size, seed=f"{study}{series}{instance}")
    base = dataset(study, series, instance, **attributes)
    return encode(with_pixels(base, pixels, bits_stored=12), transfer_syntax)


def ct_series(study: Label, count: int, series: Label = 1, **attributes: Any) -> list[bytes]:
    """The files of a series, instance numbers from 1."""
    return [ct(study, series, number, **attributes) for number in range(1, count + 1)]


def multi_frame(study: Label = 1, frames: int = 10, **attributes: Any) -> bytes:
    """A native object of many frames."""
    base = dataset(study, SOPClassUID=MULTI_FRAME_WORD, Modality="OT", **attributes)
    return encode(with_pixels(base, ramp(frames=frames, seed=study), bits_stored=12))


def colour(study: Label = 1, photometric: str = "RGB", frames: int = 1) -> bytes:
    """A colour picture by pixel: RGB or YBR_FULL."""
    base = dataset(study, SOPClassUID=SecondaryCaptureImageStorage, Modality="OT")
    return encode(with_pixels(base, _colours(frames), photometric=photometric))


def palette(study: Label = 1) -> bytes:
    """A picture of 8-bit indices into a palette of 256 colours (PS3.3 C.7.6.3.1.5)."""
    base = dataset(study, SOPClassUID=SecondaryCaptureImageStorage, Modality="US")
    entries = np.arange(256, dtype=np.uint16) * 257
    for name, table in (("Red", entries), ("Green", entries[::-1]), ("Blue", entries // 2)):
        setattr(base, f"{name}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(base, f"{name}PaletteColorLookupTableData", table.tobytes())
    pixels = (ramp() % 256).astype(np.uint8)
    return encode(with_pixels(base, pixels, photometric="PALETTE COLOR"))


def signed(study: Label = 1) -> bytes:
    """Signed 16-bit MONOCHROME1 pixels."""
    pixels = (ramp(seed=study).astype(np.int16) - 2048).astype(np.int16)
    base = dataset(study, RescaleIntercept=0)
    return encode(with_pixels(base, pixels, photometric="MONOCHROME1", signed=True))


def bilevel(study: Label = 1, frames: int = 3) -> bytes:
    """One bit a pixel, frames that do not begin on a byte (PS3.5 8.1.1)."""
    base = dataset(study, SOPClassUID="1.2.840.10008.5.1.4.1.1.7.1", Modality="OT")
    bits = (ramp(7, 9, frames) // 3 % 2).astype(np.uint8)
    with_pixels(base, bits)
    base.BitsAllocated, base.BitsStored, base.HighBit = 1, 1, 0
    packed = np.packbits(bits.ravel(), bitorder="little").tobytes()
    base.PixelData = packed + b"\0" * (len(packed) % 2)
    return encode(base)


def enhanced(study: Label = 1, frames: int = 4) -> bytes:
    """An enhanced CT, whose windows and rescales stand in functional groups (PS3.3 C.7.6.16)."""
    base = dataset(
        study, SOPClassUID=EnhancedCTImageStorage, WindowCenter=None, WindowWidth=None,
        RescaleIntercept=None, RescaleSlope=None, ImagePositionPatient=None,
    )  # fmt: skip
    shared = Dataset()
    shared.PixelValueTransformationSequence = Sequence([_item(RescaleIntercept=-1024,
        RescaleSlope=1, RescaleType="HU")])  # fmt: skip
    base.SharedFunctionalGroupsSequence = Sequence([shared])
    groups = []
    for index in range(frames):
        group = Dataset()
        group.FrameVOILUTSequence = Sequence([_item(WindowCenter=40 + index, WindowWidth=400)])
        position = _item(ImagePositionPatient=[0.0, 0.0, float(index)])
        group.PlanePositionSequence = Sequence([position])
        groups.append(group)
    base.PerFrameFunctionalGroupsSequence = Sequence(groups)
    return encode(with_pixels(base, ramp(frames=frames, seed=study), bits_stored=12))


def jpeg(study: Label = 1, frames: int = 3, fragments: int = 1, table: str = "basic") -> bytes:
    """JPEG frames, each in so many fragments, with a basic, extended or no offset table."""
    base = dataset(study, SOPClassUID=MULTI_FRAME_TRUE_COLOUR, Modality="ES")
    with_pixels(base, _colours(frames), photometric="YBR_FULL_422")
    pictures = [_picture(frame, "JPEG") for frame in _colours(frames)]
    return _encapsulated(base, pictures, JPEGBaseline8Bit, fragments, table)


def jpeg_2000(study: Label = 1, frames: int = 2) -> bytes:
    """Lossless JPEG 2000 frames."""
    base = dataset(study, SOPClassUID=MULTI_FRAME_TRUE_COLOUR, Modality="ES")
    with_pixels(base, _colours(frames), photometric="YBR_RCT")
    pictures = [_picture(frame, "JPEG2000") for frame in _colours(frames)]
    return _encapsulated(base, pictures, JPEG2000Lossless, 1, "basic")


def run_length(study: Label = 1) -> bytes:
    """One RLE frame, by pydicom's own encoder."""
    base = with_pixels(dataset(study), ramp(seed=study), bits_stored=12)
    base.file_meta = FileMetaDataset()
    base.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    base.compress(RLELossless, encoding_plugin="pydicom", generate_instance_uid=False)
    return encode(base, RLELossless)


def pdf(study: Label = 1, content: bytes = b"%PDF-1.4\n%%EOF\n") -> bytes:
    """An encapsulated PDF document: bulk data that is no picture."""
    base = dataset(study, SOPClassUID=EncapsulatedPDFStorage, Modality="DOC")
    base.DocumentTitle, base.MIMETypeOfEncapsulatedDocument = "Report", "application/pdf"
    base.EncapsulatedDocumentLength = len(content)
    base.EncapsulatedDocument = content + b"\0" * (len(content) % 2)
    return encode(base)


def unknown_transfer_syntax(study: Label = 1, syntax: str = "1.2.3.4.5.6.7.8") -> bytes:
    """A file of a transfer syntax that nobody knows, otherwise in order."""
    content = with_pixels(dataset(study), ramp(seed=study), bits_stored=12)
    known = encode(content, ExplicitVRLittleEndian)
    head = FileMetaDataset()
    head.TransferSyntaxUID = UID(syntax)
    head.MediaStorageSOPClassUID = UID(CT_IMAGE_STORAGE)
    head.MediaStorageSOPInstanceUID = UID(sop_uid(study))
    return file_of(head, known[_data_begin(known) :])


def file_of(meta: FileMetaDataset, data: bytes) -> bytes:
    """Preamble, prefix and File Meta Information in front of a dataset already encoded."""
    buffer = io.BytesIO()
    pydicom.filewriter.write_file_meta_info(_little(buffer), meta)
    return b"\0" * 128 + b"DICM" + buffer.getvalue() + data


def without_preamble(content: bytes) -> bytes:
    """The same file beginning with its File Meta Information."""
    return content[132:]


def without_meta(study: Label = 1, instance: Label = 1) -> bytes:
    """A bare dataset in implicit VR little endian, as old programs wrote it."""
    whole = ct(study, instance=instance, transfer_syntax=ImplicitVRLittleEndian)
    return whole[_data_begin(whole) :]


def zipped(files: Mapping[str, bytes]) -> bytes:
    """A zip archive of these names and contents."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@cache
def gallery(study: Label = "gallery") -> dict[str, bytes]:
    """One file of every kind, each a study of its own."""
    return {
        "ct explicit": ct(f"{study} explicit"),
        "ct implicit": ct(f"{study} implicit", transfer_syntax=ImplicitVRLittleEndian),
        "ct big endian": ct(f"{study} big", transfer_syntax=ExplicitVRBigEndian),
        "ct deflated": ct(f"{study} deflated", transfer_syntax=DeflatedExplicitVRLittleEndian),
        "no preamble": without_preamble(ct(f"{study} preamble")),
        "no meta": without_meta(f"{study} meta"),
        "multi-frame": multi_frame(f"{study} frames"),
        "rgb": colour(f"{study} rgb"),
        "ybr multi-frame": colour(f"{study} ybr", "YBR_FULL", frames=2),
        "palette": palette(f"{study} palette"),
        "signed monochrome1": signed(f"{study} signed"),
        "one bit": bilevel(f"{study} bits"),
        "enhanced": enhanced(f"{study} enhanced"),
        "jpeg": jpeg(f"{study} jpeg"),
        "jpeg in fragments": jpeg(f"{study} fragments", fragments=3),
        "jpeg extended table": jpeg(f"{study} extended", table="extended"),
        "jpeg no table": jpeg(f"{study} bare", table="none"),
        "jpeg one frame in fragments": jpeg(f"{study} one", frames=1, fragments=4, table="none"),
        "jpeg 2000": jpeg_2000(f"{study} j2k"),
        "rle": run_length(f"{study} rle"),
        "pdf": pdf(f"{study} pdf"),
        "unknown transfer syntax": unknown_transfer_syntax(f"{study} unknown"),
    }


def packaged_files() -> list[Path]:
    """The files that the pydicom distribution brings along, whatever they are."""
    folder = Path(pydicom.__file__).parent / "data"
    kinds = ("test_files", "charset_files", "palettes")
    return sorted(path for kind in kinds for path in (folder / kind).rglob("*.dcm"))


def _colours(frames: int) -> NDArray[np.uint8]:
    grey = (ramp(frames=frames) % 256).astype(np.uint8)
    return np.stack([grey, 255 - grey, grey // 2], axis=-1)


def _picture(pixels: NDArray[np.uint8], kind: str) -> bytes:
    buffer = io.BytesIO()
    options = {"irreversible": False, "no_jp2": True} if kind == "JPEG2000" else {"quality": 95}
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def _encapsulated(
    base: Dataset, frames: list[bytes], syntax: UID, fragments: int, table: str
) -> bytes:
    if table == "extended":
        pixels, offsets, lengths = encapsulate_extended(frames)
        base.ExtendedOffsetTable, base.ExtendedOffsetTableLengths = offsets, lengths
        base.PixelData = pixels
    else:
        base.PixelData = encapsulate(frames, fragments, has_bot=table == "basic")
    base["PixelData"].VR = "OB"
    return encode(base, syntax)


def _item(**attributes: Any) -> Dataset:
    item = Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item


def _data_begin(content: bytes) -> int:
    """Where the dataset begins in a file that `encode` made: after the group 0002."""
    length = int.from_bytes(content[140:144], "little")
    return 144 + length


def _little(buffer: io.BytesIO) -> Any:
    file = pydicom.filebase.DicomFileLike(buffer)
    file.is_little_endian, file.is_implicit_VR = True, False
    return file
