"""What is made before an answer begins, and what happens to damage that is found later."""

import pytest

from lenticular.errors import NotFound, Unacceptable
from lenticular.transactions.retrieve.made_ahead import Scratch
from lenticular.transactions.retrieve.omissions import Omissions, obtainable

PIECE = b"x" * 1000


def part(scratch, content, fails=False):
    def pieces():
        yield content
        if fails:
            raise Unacceptable("damaged")

    return lambda: scratch.keep(pieces())


def bytes_of(made):
    return b"".join(made.pieces())


def test_parts_that_fit_are_all_made_before_the_answer_begins(tmp_path):
    scratch, omissions = Scratch(tmp_path), Omissions()
    candidates = [(str(n), part(scratch, b"%d" % n * 3_000_000, n == 1)) for n in range(3)]
    made = scratch.begin(obtainable(candidates, omissions))
    assert isinstance(made, list)
    assert [(each.size, bytes_of(each)[:1]) for each in made] == [
        (3_000_000, b"0"),
        (3_000_000, b"2"),
    ]
    assert omissions.sentences() == ["The 1 is left out: damaged"]
    assert list(tmp_path.iterdir()) == []  # the file has no name, so nobody has to remove it


def test_damage_behind_what_is_made_ahead_ends_the_answer_with_an_error(tmp_path):
    scratch, omissions = Scratch(tmp_path, ahead_bytes=1500), Omissions()
    candidates = [(str(n), part(scratch, PIECE, n == 3)) for n in range(5)]
    made = scratch.begin(obtainable(candidates, omissions))
    omissions.status_is_sent()
    assert [bytes_of(next(made)) for _ in range(3)] == [PIECE] * 3
    with pytest.raises(Unacceptable):
        next(made)


def test_damage_behind_what_is_made_ahead_is_left_out_as_long_as_no_status_is_sent(tmp_path):
    scratch, omissions = Scratch(tmp_path, ahead_bytes=0), Omissions()
    candidates = [(str(n), part(scratch, b"%d" % n, n == 3)) for n in range(5)]
    made = scratch.begin(obtainable(candidates, omissions))
    assert [bytes_of(each) for each in made] == [b"0", b"1", b"2", b"4"]
    assert omissions


def test_a_large_part_goes_out_while_it_is_made(tmp_path):
    scratch = Scratch(tmp_path, part_bytes=2500)
    made = scratch.keep(iter([PIECE] * 5))
    assert made.size is None
    assert bytes_of(made) == PIECE * 5


def test_without_any_part_the_first_error_is_raised_and_many_are_counted():
    omissions = Omissions()

    def gone():
        raise NotFound("gone")

    with pytest.raises(NotFound):
        list(obtainable([(f"part {n}", gone) for n in range(25)], omissions))
    assert len(omissions.sentences()) == 11
    assert omissions.sentences()[-1] == "15 more are left out."
