"""A structured report as HTML and plain text, PS3.18 8.7.4.

The author of a report may have put anything into it, so all of it is escaped, and the page may
neither run nor load anything.
"""

import re
from collections.abc import Iterable, Iterator
from html import escape

from lenticular.dicom import tags, uids
from lenticular.dicom.display_text import items, text
from lenticular.dicom.model import Dataset, Target
from lenticular.dicom.sr_content_tree import ContentItem, ReferencedInstance, content_tree

POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"

_XHTML = "http://www.w3.org/1999/xhtml"
# The characters that XML 1.0 has no spelling for; surrogates are of texts that cannot be decoded.
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_STYLE = (
    "body{font:16px/1.45 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;"
    "color:#1b1b1f;background:#fff}"
    "h1{font-size:1.5rem}h2{font-size:1.2rem}h3,h4,h5,h6{font-size:1rem}"
    "header{border-bottom:1px solid #ccd;margin-bottom:1rem}"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem}dt{color:#667}"
    "dd{margin:0}section,.below{margin-left:.9rem;padding-left:.7rem;border-left:2px solid #e4e4ee}"
    "main>section{margin-left:0;padding-left:0;border:0}p{margin:.3rem 0}"
    ".value{white-space:pre-wrap;overflow-wrap:anywhere}.name{color:#556}"
    ".name::after{content:': '}small{color:#889}"
)
_HEAD = {
    "Patient": tags.PATIENT_NAME,
    "Patient ID": tags.PATIENT_ID,
    "Born": tags.PATIENT_BIRTH_DATE,
    "Sex": tags.PATIENT_SEX,
    "Accession number": tags.ACCESSION_NUMBER,
    "Study": tags.STUDY_DESCRIPTION,
    "Study date": tags.STUDY_DATE,
    "Referring physician": tags.REFERRING_PHYSICIAN_NAME,
    "Institution": tags.INSTITUTION_NAME,
    "Completion": tags.COMPLETION_FLAG,
    "Verification": tags.VERIFICATION_FLAG,
}
_RELATIONS = {
    "HAS OBS CONTEXT": "context",
    "HAS ACQ CONTEXT": "acquisition",
    "HAS PROPERTIES": "property",
    "INFERRED FROM": "inferred from",
    "SELECTED FROM": "selected from",
    "HAS CONCEPT MOD": "modifier",
}


def as_html(dataset: Dataset, dicomweb: str, character_set: str) -> bytes:
    """Return the report as a page; references are links below this base URL."""
    page = "<!DOCTYPE html>\n" + _page(dataset, dicomweb, character_set)
    return page.encode(character_set, "xmlcharrefreplace")


def as_xml(dataset: Dataset, dicomweb: str, character_set: str) -> bytes:
    """Return the same page as an XML document (XHTML), for `text/xml`."""
    declaration = f'<?xml version="1.0" encoding="{character_set}"?>\n'
    page = _NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", _page(dataset, dicomweb, character_set))
    return (declaration + page).encode(character_set, "xmlcharrefreplace")


def _page(dataset: Dataset, dicomweb: str, character_set: str) -> str:
    root = content_tree(dataset)
    title = escape(_title(dataset, root))
    facts = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in _facts(dataset)
    )
    page = (
        f'<html xmlns="{_XHTML}" lang="en"><head><meta charset="{character_set}"/>'
        '<meta name="viewport" content="width=device-width"/>'
        f"<title>{title}</title><style>{_STYLE}</style></head>\n"
        f"<body><header><h1>{title}</h1><dl>{facts}</dl></header>\n<main>"
    )
    body = "".join(_below(root.children, dicomweb, 2))
    return f"{page}{body}</main></body></html>\n"


def as_text(dataset: Dataset, character_set: str) -> bytes:
    """Return the report as plain text, a line for each content item."""
    root = content_tree(dataset)
    title = _title(dataset, root)
    lines = [title, "=" * len(title), *(f"{name}: {value}" for name, value in _facts(dataset)), ""]
    lines += _lines(root.children, 0)
    return ("\n".join(lines) + "\n").encode(character_set, "replace")


def _title(dataset: Dataset, root: ContentItem) -> str:
    """Return the title of the report."""
    return root.name or text(dataset, tags.SERIES_DESCRIPTION) or "Structured report"


def _facts(dataset: Dataset) -> Iterator[tuple[str, str]]:
    """Yield name and value of the attributes above the report's content."""
    for name, tag in _HEAD.items():
        if value := text(dataset, tag):
            yield name, value
    written = " ".join(
        filter(None, (text(dataset, tags.CONTENT_DATE), text(dataset, tags.CONTENT_TIME)))
    )
    if written:
        yield "Written", written
    for observer in items(dataset, tags.VERIFYING_OBSERVER_SEQUENCE):
        parts = (
            text(observer, tag)
            for tag in (
                tags.VERIFYING_OBSERVER_NAME,
                tags.VERIFYING_ORGANIZATION,
                tags.VERIFICATION_DATE_TIME,
            )
        )
        yield "Verified by", ", ".join(filter(None, parts))


def _below(children: Iterable[ContentItem], dicomweb: str, level: int) -> Iterator[str]:
    """Yield the children of an item."""
    for child in children:
        yield from _section(child, dicomweb, level)


def _section(item: ContentItem, dicomweb: str, level: int) -> Iterator[str]:
    """Yield an item and its children; containers have headings."""
    mark = f'id="item-{item.position}"'
    below = list(_below(item.children, dicomweb, level + 1))
    if item.value_type == "CONTAINER":
        heading = f"h{min(level, 6)}"
        yield f"<section {mark}><{heading}>{escape(item.name or 'Section')}</{heading}>"
        yield from below
        yield "</section>\n"
        return
    relation = _RELATIONS.get(item.relationship)
    yield f'<p {mark}><span class="name">{escape(item.name or item.value_type.lower())}</span>'
    yield f'<span class="value">{_linked(item, dicomweb)}</span>'
    yield f" <small>{relation}</small></p>\n" if relation else "</p>\n"
    if below:
        yield '<div class="below">'
        yield from below
        yield "</div>\n"


def _linked(item: ContentItem, dicomweb: str) -> str:
    """Return the value of an item, as a link if it refers to another object."""
    if item.same_as:
        position = escape(item.same_as)
        return f'<a href="#item-{position}">see item {position}</a>'
    value = escape(item.value)
    path = _path(item.reference)
    return f'<a href="{escape(dicomweb + path)}">{value or "image"}</a>' if path else value


def _path(reference: ReferencedInstance | None) -> str:
    """Return the path of a referenced instance; empty if the report does not give its study."""
    if reference is None:
        return ""
    uids_of = (
        reference.study_instance_uid,
        reference.series_instance_uid,
        reference.sop_instance_uid,
    )
    if any(map(uids.problem_of, uids_of)):
        return ""
    frame = reference.frame_numbers.split(",")[0]
    return f"/{Target(*uids_of).path}" + (
        f"/frames/{frame}/rendered" if frame.isdecimal() else "/rendered"
    )


def _lines(children: Iterable[ContentItem], depth: int) -> Iterator[str]:
    """Yield a line of plain text for each item and its children."""
    for item in children:
        value = f"see item {item.same_as}" if item.same_as else item.value
        name = item.name or item.value_type.lower()
        shown = f"{name}: {value}" if value else name
        yield "\n".join("  " * depth + line for line in shown.splitlines())
        yield from _lines(item.children, depth + 1)
