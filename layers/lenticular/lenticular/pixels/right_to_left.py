"""Lines of Hebrew and Arabic: the visual order of letters, and their joined forms.

Direction follows UAX #9 for one line without control characters, joining the Unicode Standard 9.2,
by the presentation forms of fonts.
"""

import unicodedata
from functools import lru_cache

_RIGHT, _NUMBERS, _LEFT = ("R", "AL"), ("EN", "AN"), "L"
_MIRRORED = str.maketrans("()[]{}<>«»", ")(][}{><»«")
_LAM = "\u0644"
_FORMS = {
    (False, False): "<isolated>",
    (True, False): "<final>",
    (False, True): "<initial>",
    (True, True): "<medial>",
}
"""The form of a letter by whether it joins the one before, and the one behind."""


def visual(text: str) -> str:
    """Return a line in visual order, from left to right."""
    if not any(unicodedata.bidirectional(letter) in (*_RIGHT, "AN") for letter in text):
        return text
    text = join_arabic(text)
    levels = _levels(text)
    letters = [
        letter.translate(_MIRRORED) if level % 2 else letter
        for letter, level in zip(text, levels, strict=True)
    ]
    for least in range(max(levels), 0, -1):
        _reverse_runs(letters, levels, least)
    return "".join(letters)


def _levels(text: str) -> list[int]:
    """Return the embedding level of each letter: those of odd levels run to the left."""
    types = _types(text)
    base = next((int(each in _RIGHT) for each in types if each in (*_RIGHT, _LEFT)), 0)
    directions: list[int | None] = []  # 1 is to the left; nothing for spaces and marks
    before = base
    for each in types:
        if each in (*_RIGHT, _LEFT):
            before = int(each in _RIGHT)
            directions.append(before)
        elif each in _NUMBERS:
            directions.append(1 if each == "AN" else before)
        else:
            directions.append(directions[-1] if each == "NSM" and directions else None)
    resolved = _with_neutrals(directions, base)
    # Numbers among right-to-left letters run to the right.
    return [
        2 if each in _NUMBERS and direction else direction or 2 * base
        for each, direction in zip(types, resolved, strict=True)
    ]


def _types(text: str) -> list[str]:
    """Return the bidirectional type of each letter; a separator between digits is a digit (W4)."""
    types = [unicodedata.bidirectional(letter) for letter in text]
    for index in range(1, len(types) - 1):
        if types[index] in ("ES", "CS") and types[index - 1] == types[index + 1]:
            types[index] = types[index - 1] if types[index - 1] in _NUMBERS else types[index]
    return types


def _with_neutrals(directions: list[int | None], base: int) -> list[int]:
    """Return the directions; spaces and marks get that of both of their sides, else the line's."""
    befores = _nearest(directions, base)
    behinds = _nearest(directions[::-1], base)[::-1]
    return [
        (before if before == behind else base) if direction is None else direction
        for direction, before, behind in zip(directions, befores, behinds, strict=True)
    ]


def _nearest(directions: list[int | None], base: int) -> list[int]:
    """Return the last direction up to each position, that of the line if there is none."""
    found, last = [], base
    for direction in directions:
        last = last if direction is None else direction
        found.append(last)
    return found


def _reverse_runs(letters: list[str], levels: list[int], least: int) -> None:
    """Reverse each run of letters with at least this level (UAX #9, L2)."""
    start = 0
    while start < len(letters):
        end = start
        while end < len(letters) and levels[end] >= least:
            end += 1
        letters[start:end] = letters[start:end][::-1]
        levels[start:end] = levels[start:end][::-1]
        start = end + 1


def join_arabic(text: str) -> str:
    """Return the text with Arabic letters in the forms that join their neighbours."""
    forms = _presentation_forms()
    units = _units(text, forms)
    # Marks above or below a letter do not separate it from its neighbours.
    letters = [index for index, unit in enumerate(units) if not unicodedata.combining(unit[0])]
    joined = list(units)
    for before, index, behind in zip([None, *letters], letters, [*letters[1:], None], strict=False):
        unit = units[index]
        joins_before = before is not None and (units[before], "<initial>") in forms
        joins_behind = behind is not None and (units[behind], "<final>") in forms
        form = _FORMS[
            joins_before and (unit, "<final>") in forms,
            joins_behind and (unit, "<initial>") in forms,
        ]
        joined[index] = forms.get((unit, form), unit)
    return "".join(joined)


def _units(text: str, forms: dict[tuple[str, str], str]) -> list[str]:
    """Return the letters; lam and a following alef are one."""
    units: list[str] = []
    for letter in text:
        if units and units[-1] == _LAM and (_LAM + letter, "<isolated>") in forms:
            units[-1] += letter
        else:
            units.append(letter)
    return units


@lru_cache(maxsize=1)
def _presentation_forms() -> dict[tuple[str, str], str]:
    """Return the forms of letters, and of lam with alef, by letters and form."""
    forms: dict[tuple[str, str], str] = {}
    for code in (*range(0xFB50, 0xFBB2), *range(0xFBD3, 0xFC00), *range(0xFE80, 0xFEFD)):
        form, *letters = unicodedata.decomposition(chr(code)).split() or [""]
        if form in _FORMS.values():
            text = "".join(chr(int(each, 16)) for each in letters)
            if len(text) == 1 or text[0] == _LAM:
                forms.setdefault((text, form), chr(code))
    return forms
