"""Two pieces of text go together, or don't: by the characters beside the seam."""

import pytest

from papers import own_articles
from rag.layout import seams
from seam_cases import auc, cases


@pytest.mark.parametrize(
    ("inside", "begins"),
    [
        ("了三十年的桥，终于通车了。", "日前，云港市图书馆新馆开门。"),
        ("的群众出门不用绕路。", "据了解，新馆藏书百万册。"),
    ],
)
def test_a_rest_of_a_sentence_begins_otherwise_than_a_paragraph(inside: str, begins: str) -> None:
    first, second = (seams.begins_inside(text) for text in (inside, begins))
    assert first > 0 > second


def test_an_end_fits_its_own_rest_best() -> None:
    end = "县交通局局长沈大江说，这座桥是群众盼"
    assert seams.fits(end, "了三十年的事。") > seams.fits(end, "局副局长介绍说。")


@pytest.mark.parametrize("text", ["", "。", "abc", "１", "\U0001f600"])
def test_any_text_has_a_number(text: str) -> None:
    assert abs(seams.fits(text, text)) < 50 and abs(seams.begins_inside(text)) < 50


def test_two_halves_of_a_word_are_usual_side_by_side() -> None:
    halves, strangers = seams.usual("县里开了协", "商会。"), seams.usual("县里开了协", "的群众。")
    assert halves > 1 > strangers


@pytest.mark.parametrize(("before", "after"), [("", "桥"), ("桥", ""), ("\U0001f600", "桥")])
def test_a_character_that_is_not_known_tells_nothing(before: str, after: str) -> None:
    assert seams.usual(before, after) == 0.0


def test_all_digits_are_one() -> None:
    assert seams.usual("1", "名") == seams.usual("7", "名")


def test_ends_in_mid_sentence_are_told_from_titles_that_taught_nothing() -> None:
    articles = own_articles("fit", "sample")
    cut = [seams.ends_inside(end) for end, _ in cases([a.text for a in articles], 300).cut]
    titles = [seams.ends_inside(article.title) for article in articles if article.title]
    assert auc(cut, titles) > 0.9


def test_other_halves_and_beginnings_are_told_on_articles_that_taught_nothing() -> None:
    halves, begins = cases([a.text for a in own_articles("fit", "sample")], 500).told()
    assert halves > 0.9
    assert begins > 0.9
