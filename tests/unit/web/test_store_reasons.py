"""Reasons of refusals: ErrorComment (0000,0902) is an LO of 64 characters, and complete."""

import ast
from pathlib import Path

import pytest

import lenticular
from lenticular.errors import FailureReason
from lenticular.web.stow.store_response import comment_of

PACKAGE = Path(lenticular.__file__).parent


def sentences() -> list[str]:
    """The sentence of each refusal of an instance in the package, with something filled in."""
    found = []
    for module in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text("utf-8"))):
            is_call = isinstance(node, ast.Call) and node.args
            if is_call and ast.unparse(node.func).rpartition(".")[2] in (
                "InvalidInstance",
                "refused",
            ):
                found += [text for argument in node.args if (text := text_of(argument))]
    return found


def text_of(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            part.value if isinstance(part, ast.Constant) else "(filled,in)" for part in node.values
        )
    return ""


def test_many_sentences_are_found():
    assert len(sentences()) > 40


@pytest.mark.parametrize("sentence", sentences())
def test_each_reason_has_a_short_sentence_of_its_own(sentence):
    comment = comment_of(sentence)
    assert len(comment) <= 64
    assert comment == sentence or comment.endswith(".")
    assert comment != comment_of("x" * 100), "nothing of it is left"


@pytest.mark.parametrize("reason", list(FailureReason))
def test_what_cannot_be_shortened_says_what_its_number_means(reason):
    comment = comment_of("x" * 100, reason)
    assert "x" not in comment.replace("exceeds", "")
    assert len(comment) <= 64


@pytest.mark.parametrize(
    ("sentence", "comment"),
    [
        ("Short.", "Short."),
        ("x" * 64, "x" * 64),
        (
            "It belongs to another study than the URL names: 1.2.826.0.1.3680043.9.4245.1",
            "It belongs to another study than the URL names.",
        ),
        (
            "The Study Instance UID (0020,000D) has neither a letter nor a digit.",
            "The Study Instance UID has neither a letter nor a digit.",
        ),
        (
            "The file is cut off or damaged: (7FE0,0010) runs to byte 828 of 798.",
            "The file is cut off or damaged.",
        ),
    ],
)
def test_a_sentence_is_never_cut_in_the_middle(sentence, comment):
    assert comment_of(sentence) == comment
