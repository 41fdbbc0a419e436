"""The files that are stored: made once with pydicom, then varied by patching their heads.

A template is a real file in which the values that tell instances apart (UIDs, patient, dates,
numbers) have a fixed length. Thousands of valid files come out of it at the price of copying it,
so that making them never shows in a measurement. Everything is deterministic: both servers get
the same bytes, and so does the next run.
"""

import datetime
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from bench import ct

ROOT = "1.2.826.0.1.3680043.8.498.42"
PICTURES = 10
ELEMENTS = 250  # of a CT as scanners write it, standard and private
FIRST_DAY = datetime.date(2020, 1, 1)
MODALITIES = (b"CT", b"MR", b"CT", b"US", b"CT", b"CR", b"CT", b"MR")
FAMILIES = ("Adlers", "Brandt", "Castro", "Dubois", "Farkas", "Garcia", "Hansen", "Ishida")
VERSION = 1  # of the templates kept on disk; raise it when their making changes


@dataclass(frozen=True, slots=True)
class Shape:
    """A collection: its number, so many studies of so many series of so many instances.

    Its studies are spread evenly over so many days.
    """

    number: int
    studies: int
    series: int
    instances: int
    days: int

    @property
    def total(self) -> int:
        """The number of instances."""
        return self.studies * self.series * self.instances

    def patient_id(self, study: int) -> str:
        """The PatientID; every study has its own patient."""
        return f"BENCH{self.number:03d}{study:06d}"

    def patient_name(self, study: int) -> str:
        """The PatientName: a few families with many members."""
        return f"{FAMILIES[study % len(FAMILIES)]}^Test{study:06d}"

    def accession_number(self, study: int) -> str:
        """The AccessionNumber."""
        return f"ACC{study:07d}"

    def date(self, study: int) -> str:
        """The StudyDate."""
        day = FIRST_DAY + datetime.timedelta(days=study * self.days // self.studies)
        return day.strftime("%Y%m%d")

    def study_uid(self, study: int) -> str:
        """The StudyInstanceUID."""
        return f"{ROOT}.1.{100 + self.number}.{100000 + study}"

    def series_uid(self, study: int, series: int) -> str:
        """The SeriesInstanceUID."""
        return f"{ROOT}.2.{100 + self.number}.{100000 + study}.{100 + series}"

    def sop_uid(self, study: int, series: int, instance: int) -> str:
        """The SOPInstanceUID."""
        return f"{ROOT}.3.{100 + self.number}.{100000 + study}.{100 + series}.{100000 + instance}"

    def places(self) -> Iterator[tuple[int, int, int]]:
        """Study, series and instance of every instance, in order."""
        for study in range(self.studies):
            for series in range(self.series):
                for instance in range(self.instances):
                    yield study, series, instance


class Template:
    """A file in whose head the values of an instance can be put."""

    def __init__(self, data: bytes) -> None:
        self._fields = _fields(data)
        self._split = max(offset + length for offset, length in self._fields.values())
        sop_uid = self._value(data, "SOPInstanceUID")
        # The File Meta Information repeats the SOP Instance UID.
        self._meta = (data.index(sop_uid), len(sop_uid))
        self._head = data[: self._split]
        self._tail = data[self._split :]

    def make(self, shape: Shape, study: int, series: int, instance: int) -> bytes:
        """The file of one instance of a collection."""
        head = bytearray(self._head)
        for keyword, value in _values(shape, study, series, instance).items():
            offset, length = self._fields[keyword]
            if len(value) > length:
                raise ValueError(f"{keyword} is longer than its place in the template")
            padding = b"\0" if keyword.endswith("UID") else b" "
            head[offset : offset + length] = value.ljust(length, padding)
        offset, length = self._fields["SOPInstanceUID"]
        start, meta_length = self._meta
        head[start : start + meta_length] = head[offset : offset + meta_length]
        return bytes(head) + self._tail

    def _value(self, data: bytes, keyword: str) -> bytes:
        offset, length = self._fields[keyword]
        return data[offset : offset + length]


class Templates:
    """The templates of CT files (0.5 MB) and of tiny ones, kept in a folder between runs."""

    def __init__(self, folder: Path, elements: int = ELEMENTS) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._pictures = [
            Template(_kept(folder / f"ct{elements}-{VERSION}-{number}.dcm", number, elements))
            for number in range(PICTURES)
        ]
        self._tiny = Template(_written(ct.tiny(placeholders())))

    def picture(self, shape: Shape, study: int, series: int, instance: int) -> bytes:
        """A CT file of 0.5 MB."""
        template = self._pictures[(study + series + instance) % PICTURES]
        return template.make(shape, study, series, instance)

    def tiny(self, shape: Shape, study: int, series: int, instance: int) -> bytes:
        """A file of some 40 elements and 8 by 8 pixels."""
        return self._tiny.make(shape, study, series, instance)


def placeholders() -> dict[str, str]:
    """Values of the greatest length, for a dataset that is to become a template."""
    shape = Shape(899, 1, 1, 1, 1)
    values = _values(shape, 0, 0, 0)
    return {keyword: value.decode() for keyword, value in values.items()} | {
        "SeriesNumber": "99",
        "InstanceNumber": "999999",
    }


def orthanc_id(*parts: str) -> str:
    """Orthanc's identifier: SHA-1 of the identifiers of the levels above and its own."""
    digest = hashlib.sha1("|".join(parts).encode()).hexdigest()
    return "-".join(digest[start : start + 8] for start in range(0, 40, 8))


def _values(shape: Shape, study: int, series: int, instance: int) -> dict[str, bytes]:
    date = shape.date(study).encode()
    return {
        "SOPInstanceUID": shape.sop_uid(study, series, instance).encode(),
        "StudyDate": date,
        "SeriesDate": date,
        "AccessionNumber": shape.accession_number(study).encode(),
        "Modality": MODALITIES[(study + series) % len(MODALITIES)],
        "PatientName": shape.patient_name(study).encode(),
        "PatientID": shape.patient_id(study).encode(),
        "StudyInstanceUID": shape.study_uid(study).encode(),
        "SeriesInstanceUID": shape.series_uid(study, series).encode(),
        "SeriesNumber": str(series + 1).encode(),
        "InstanceNumber": str(instance + 1).encode(),
    }


def _fields(data: bytes) -> dict[str, tuple[int, int]]:
    """Offset and length of the values that differ between instances."""
    dataset = dcmread(io.BytesIO(data), stop_before_pixels=True)
    fields: dict[str, tuple[int, int]] = {}
    for keyword in placeholders():
        element = dataset.get_item(keyword)
        if not isinstance(element, RawDataElement):
            raise TypeError(f"{keyword} was decoded before its place was known")
        fields[keyword] = (element.value_tell, element.length)
    return fields


def _kept(path: Path, number: int, elements: int) -> bytes:
    if not path.exists():
        part = path.with_suffix(".part")
        part.write_bytes(_written(ct.picture(placeholders(), number, elements)))
        part.rename(path)
    return path.read_bytes()


def _written(dataset: Dataset) -> bytes:
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
