from pydicom.datadict import keyword_for_tag

from lenticular.dicom import tags

TAGS = {name: value for name, value in vars(tags).items() if name.isupper()}


def test_each_tag_has_the_name_that_the_dictionary_gives_it():
    wrong = {
        name: keyword_for_tag(int(value, 16))
        for name, value in TAGS.items()
        if keyword_for_tag(int(value, 16)).upper() != name.replace("_", "")
    }

    assert not wrong


def test_tags_stand_in_their_order():
    assert list(TAGS.values()) == sorted(TAGS.values())
