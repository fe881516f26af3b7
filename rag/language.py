"""The language that a question is asked in."""

import re


def is_chinese(text: str) -> bool:
    """Whether a question is asked in Chinese: more Chinese characters than Latin words.

    A title or word between quotation marks says nothing, unless all stands between them.
    """
    around = text
    for _ in range(2):  # “a title with “a word” in it”; in time that grows with the text
        around = re.sub('“[^“”]*”|《[^《》]*》|"[^"]*"', "", around)
    text = around if any(char.isalpha() for char in around) else text
    chinese = sum("㐀" <= char <= "鿿" for char in text)
    latin = len([word for word in text.split() if any(c.isascii() and c.isalpha() for c in word)])
    return chinese > latin
