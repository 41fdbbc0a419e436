"""The tables of the standard are pydicom's, whichever way they are read."""

import subprocess
import sys

import pydicom.datadict as pydicoms
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom._private_dict import private_dictionaries
from pydicom.charset import python_encoding
from pydicom.uid import UID_dictionary

from lenticular.dicom import pydicom_tables
from lenticular.dicom.read.character_sets import character_set

EVEN_GROUPS = [0x0008, 0x0020, 0x0028, 0x1000, 0x5000, 0x501E, 0x6000, 0x60FE, 0x7F00, 0x7FE0]


def test_every_attribute_of_the_standard_is_told_as_pydicom_tells_it():
    for tag, row in pydicoms.DicomDictionary.items():
        assert tuple(pydicom_tables.entry(tag)) == row


@given(st.sampled_from(EVEN_GROUPS), st.integers(0, 0xFFFF))
def test_a_tag_is_looked_up_as_pydicom_does_in_repeating_groups_too(group, element):
    tag = group << 16 | element
    try:
        expected = pydicoms.get_entry(tag)
    except KeyError:
        with pytest.raises(KeyError):
            pydicom_tables.entry(tag)
    else:
        assert tuple(pydicom_tables.entry(tag)) == expected


def test_a_private_tag_is_no_attribute_of_the_standard():
    with pytest.raises(KeyError):
        pydicom_tables.entry(0x60010010)


def test_every_keyword_leads_to_its_tag():
    known = {keyword: tag for keyword, tag in pydicoms.keyword_dict.items() if keyword}
    assert known == pydicom_tables.TAGS
    assert pydicom_tables.named("PatientName").vr == "PN"


def test_every_element_of_a_vendor_is_told_as_pydicom_tells_it():
    for creator, rows in private_dictionaries.items():
        for key in rows:
            tag = int(key.replace("x", "1"), 16)
            try:
                expected = pydicoms.get_private_entry(tag, creator)
            except KeyError:  # written in a way that pydicom itself does not look up
                continue
            assert pydicom_tables.private_entry(tag, creator) == expected


def test_what_no_vendor_has_published_is_not_known():
    for tag, creator in ((0x00091001, "nobody"), (0x0009100F, "GEMS_IDEN_01")):
        with pytest.raises(KeyError):
            pydicom_tables.private_entry(tag, creator)


def test_every_uid_of_the_standard_has_its_name():
    assert pydicom_tables.uid_names() == {uid: row[0] for uid, row in UID_dictionary.items()}


@pytest.mark.parametrize("term", [term for term in python_encoding if term])
def test_a_character_set_reads_as_pydicom_reads_it(term):
    codec = python_encoding[term]
    if "\\" in term or codec.startswith("iso2022"):
        return  # nothing of these stands without an escape sequence
    for number in range(0xA1, 0xFF):
        raw = bytes([number, 0xA1])
        try:
            expected = raw.decode("latin_1" if codec == "iso8859" else codec)
        except UnicodeDecodeError:
            continue
        if codec != "iso8859":  # the default set, of which only ASCII is certain
            assert character_set((term,)).decode(raw) == expected


def test_the_tables_are_read_without_importing_pydicom():
    code = "import sys, lenticular.dicom.pydicom_tables; print('pydicom' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
