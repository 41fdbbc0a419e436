"""The requests and answers of each method of DICOMweb, as the Capabilities Description has them.

PS3.18 Annex H asks for the names of transactions, media types, character sets and parameters.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from lenticular.dicom import pydicom_tables
from lenticular.dicom.model import LEVELS, Level
from lenticular.dicom.search_attributes import SEARCHED
from lenticular.dicom.transfer_syntaxes import (
    COMPRESSED,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    lookup,
)
from lenticular.pixels.picture_formats import IN_DICOMWEB
from lenticular.pixels.render_options import ANNOTATIONS, ICC_PROFILES, PARAMETERS
from lenticular.web.http.accept import Offer
from lenticular.web.http.character_sets import CODECS, UTF_8
from lenticular.web.http.media_types import (
    DICOM,
    DICOM_JSON,
    DICOM_XML,
    HTML,
    JSON,
    OCTET_STREAM,
    PDF,
    PLAIN_TEXT,
    TEXT_XML,
    ZIP,
)
from lenticular.web.representations import datasets
from lenticular.web.resource_paths import INSTANCE, SERIES, STUDY
from lenticular.web.stow.metadata_request import FORMATS

VIDEOS = ("video/mpeg", "video/mp4", "video/H265")
DATASETS = tuple(map(str, datasets.OFFERS))
BOOLEAN = ("true", "false")


@dataclass(frozen=True, slots=True)
class DescribedMethod:
    """A method: its name in the standard, its media types, and the options of its parameters."""

    name: str
    media_types: tuple[str, ...] = ()
    parameters: dict[str, tuple[str, ...]] = field(default_factory=dict)
    request_types: tuple[str, ...] = ()
    character_sets: tuple[str, ...] = (UTF_8,)
    statuses: str = "400 404 406"


_SEARCHES = {
    "/studies": ("SearchForStudies", Level.STUDY),
    f"{STUDY}/series": ("SearchForStudySeries", Level.SERIES),
    f"{STUDY}/instances": ("SearchForStudyInstances", Level.INSTANCE),
    f"{SERIES}/instances": ("SearchForStudySeriesInstances", Level.INSTANCE),
    "/series": ("SearchForSeries", Level.SERIES),
    "/instances": ("SearchForInstances", Level.INSTANCE),
}
_RETRIEVED = {STUDY: "Study", SERIES: "Series", INSTANCE: "Instance"}
_FRAMES = f"{INSTANCE}/frames/{{frame_list}}"
_RENDERED = {**_RETRIEVED, _FRAMES: "Frames"}
_VALUES = {"annotation": ANNOTATIONS, "iccprofile": ICC_PROFILES}
_RENDERING = {name: _VALUES.get(name, ()) for name in sorted(PARAMETERS)}
_PAGING = {
    "includefield": ("all",),
    "fuzzymatching": BOOLEAN,
    "emptyvaluematching": BOOLEAN,
    "multiplevaluematching": BOOLEAN,
    "limit": (),
    "offset": (),
    "TimezoneOffsetFromUTC": (),
}


def described(path: str, method: str) -> DescribedMethod | None:
    """Return the description of a method of a resource; None for those that are not PS3.18's."""
    if method == "POST":
        return _store(path)
    if method not in ("GET", "HEAD"):
        return None
    if path in _SEARCHES:
        return _search(*_SEARCHES[path])
    if path in _RETRIEVED:
        return DescribedMethod(f"Retrieve{_RETRIEVED[path]}", tuple(_instances(path == INSTANCE)))
    if path == _FRAMES:
        return DescribedMethod("RetrieveFrames", tuple(_frames()))
    return _variant(*path.rpartition("/")[::2])


def _variant(parent: str, variant: str) -> DescribedMethod | None:
    """Return the description of metadata, bulk data or pictures of a resource."""
    if parent == f"{INSTANCE}/bulkdata":
        return DescribedMethod("RetrieveBulkdata", _both(OCTET_STREAM))
    level = _RENDERED.get(parent)
    known = {
        "metadata": DescribedMethod(f"Retrieve{level}Metadata", DATASETS),
        "bulkdata": DescribedMethod(f"Retrieve{level}Bulkdata", _both(OCTET_STREAM)),
        "pixeldata": DescribedMethod(f"Retrieve{level}PixelData", _both(OCTET_STREAM)),
        "thumbnail": DescribedMethod(f"Retrieve{level}Thumbnail", IN_DICOMWEB, {"viewport": ()}),
        "rendered": _rendered(f"RetrieveRendered{level}", has_texts=level != "Frames"),
    }
    return None if level is None else known.get(variant)


def _rendered(name: str, *, has_texts: bool) -> DescribedMethod:
    texts = (HTML, PLAIN_TEXT, TEXT_XML, PDF, *VIDEOS) if has_texts else ()
    types = (*IN_DICOMWEB, *texts, *(str(Offer(each, multipart=True)) for each in IN_DICOMWEB))
    sets = (UTF_8, *sorted(CODECS - {UTF_8}))
    return DescribedMethod(name, types, _RENDERING, character_sets=sets)


def _search(name: str, level: Level) -> DescribedMethod:
    searched = (each for above in LEVELS[: level.depth + 1] for each in SEARCHED.get(above, ()))
    keywords = {".".join(map(_keyword, attribute.path)) for attribute in searched}
    parameters = {**dict.fromkeys(sorted(keywords), ()), **_PAGING}
    return DescribedMethod(name, DATASETS, parameters, statuses="400 406")


def _keyword(tag: str) -> str:
    return pydicom_tables.entry(int(tag, 16)).keyword


def _store(path: str) -> DescribedMethod | None:
    names = {"/studies": "StoreInstances", STUDY: "StoreStudyInstances"}
    if path not in names:
        return None
    related = tuple(str(Offer(each, multipart=True)) for each in (DICOM, *FORMATS))
    answers = (DICOM_JSON, JSON, DICOM_XML)
    statuses = "202 400 406 409 411 413 415"
    return DescribedMethod(names[path], answers, request_types=(*related, DICOM), statuses=statuses)


def _instances(is_single: bool) -> Iterator[str]:
    native = (EXPLICIT_VR_LITTLE_ENDIAN, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)
    for multipart in (True, False) if is_single else (True,):
        yield str(Offer(DICOM, multipart=multipart))
        for syntax in ("*", *native, *COMPRESSED):
            yield str(Offer(DICOM, syntax, multipart))
    yield ZIP
    yield str(Offer(OCTET_STREAM, multipart=True))


def _frames() -> Iterator[str]:
    for multipart in (True, False):
        yield str(Offer(OCTET_STREAM, EXPLICIT_VR_LITTLE_ENDIAN, multipart))
        for syntax in COMPRESSED:
            yield str(Offer(lookup(syntax).media_type, syntax, multipart))


def _both(media_type: str) -> tuple[str, ...]:
    return (str(Offer(media_type, multipart=True)), media_type)
