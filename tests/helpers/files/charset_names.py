"""Patients' names in each character set, and their component groups in answers."""
# ruff: noqa: RUF001 (letters that look like others are what this file is about)

import warnings

from tests.helpers import samples

PATIENT_NAME = "00100010"


NAMES = [
    ("ISO_IR 6", "Smith^John"),
    ("ISO_IR 100", "Müller^Jörg"),
    ("ISO_IR 100", "Buc^Jérôme"),
    ("ISO_IR 101", "Łęcki^Stanisław"),
    ("ISO_IR 109", "Ĝanġan^Ħal"),
    ("ISO_IR 110", "Ķēniņš^Jānis"),
    ("ISO_IR 144", "Люкceмбypг^Роза"),
    ("ISO_IR 127", "قباني^لنزار"),
    ("ISO_IR 126", "Διονυσιος^Λάμπρος"),
    ("ISO_IR 138", "שרון^דבורה"),
    ("ISO_IR 148", "Çavuşoğlu^İsmail"),
    ("ISO_IR 203", "Œuvre^Zoë"),
    ("ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
    ("ISO_IR 166", "สมชาย^ใจดี"),
    ("ISO_IR 192", "Ångström^Ñandú"),
    ("ISO_IR 192", "Wang^XiaoDong=王^小東"),
    ("ISO_IR 192", "Đặng^Thị Hồng"),
    ("ISO_IR 192", "हिन्दी^राम"),
    ("ISO_IR 192", "𠮷野^家"),
    ("GB18030", "Wang^XiaoDong=王^小东"),
    ("GBK", "Zhang^Wei=张^伟"),
    (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    (["ISO 2022 IR 13", "ISO 2022 IR 87"], "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"),
    (["ISO 2022 IR 6", "ISO 2022 IR 87", "ISO 2022 IR 159"], "Okada^Jun=岡田^丂"),
    (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
    (["", "ISO 2022 IR 58"], "Zhang^XiaoDong=张^小东"),
    (["ISO 2022 IR 100", "ISO 2022 IR 144"], "Dürer^Роза"),
]


# pydicom cannot write these: it knows no ISO_IR 203, and forgets the escapes of ISO 2022 IR 58.
ENCODED = {
    "Œuvre^Zoë": "Œuvre^Zoë".encode("iso8859_15"),
    # The example of PS3.5 K.2.
    "Zhang^XiaoDong=张^小东": b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab",
}


GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


def file_of(charset: str | list[str], name: str) -> bytes:
    """A file with the name in this character set."""
    if name not in ENCODED:
        return samples.ct("a", SpecificCharacterSet=charset, PatientName=name)
    encoded = ENCODED[name] + b" " * (len(ENCODED[name]) % 2)
    stand_in = "^".ljust(len(encoded), "Q")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        content = samples.ct("a", SpecificCharacterSet=charset, PatientName=stand_in)
    return content.replace(stand_in.encode(), encoded)


def groups_of(name: str) -> dict[str, str]:
    """The component groups of a name as DICOM JSON has them (PS3.18 F.2.2)."""
    groups = zip(GROUPS, name.split("="), strict=False)
    return {kind: group.rstrip("^ ") for kind, group in groups if group.rstrip("^ ")}


def name_in(client, url: str) -> dict[str, str]:
    """The patient's name in an instance's metadata."""
    answer = client.get(url + "/metadata")
    answer.content.decode("utf-8")
    (dataset,) = answer.json()
    assert dataset.get("00080005", {}).get("Value", ["ISO_IR 192"]) == ["ISO_IR 192"]
    return dataset.get(PATIENT_NAME, {}).get("Value", [{}])[0]
