"""What of the passages is quoted, and how it stands there: quotes under their article's title.

The answer without a language model, from what was found for a question (`Look`), or for each of
several asked at once. Does not cover finding (looking.py), choosing sentences (extract.py), nor
checking spans and markers (citations.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rag import citations, extract, holders, judge, phrases
from rag.citations import Line, Support
from rag.looking import Sight
from rag.types import Article, Language, Question


@dataclass(frozen=True, slots=True)
class Look(Sight):
    """What was found for a question, as it was read, and whether that answers it.

    Where several questions are asked at once, `parts` are the same of each that is answered, and
    `untold` are the others as they were asked.
    """

    question: Question
    verdict: judge.Verdict
    parts: "tuple[Look, ...]" = ()
    untold: tuple[str, ...] = ()

    def known(self) -> dict[tuple[str, int, int], float]:
        """The chance that it answers of each sentence: article, start, end."""
        return {
            (c.match.hit.passage.article_id, c.start, c.end): chance
            for c, chance in zip(self.pool, self.chances, strict=True)
        }


def apart(whole: Look, looks: Sequence[Look]) -> Look:
    """What was found for several questions at once, with what was found for each.

    Each may be answered though the whole isn't, since no article speaks of all that is asked.
    Where the whole is answered, only a name that nobody knows leaves one out.
    """
    parts, untold = list[Look](), list[str]()
    for look in looks:
        reason = look.verdict.reason
        if reason and (whole.verdict.reason or reason == "entity_not_found"):
            untold.append(look.question.text)
        else:
            parts.append(look)
    if not parts:
        return whole
    verdict = whole.verdict
    if verdict.reason:
        verdict = min((part.verdict for part in parts), key=lambda each: each.confidence)
    return replace(whole, verdict=verdict, parts=tuple(parts), untold=tuple(untold))


def quoted(look: Look) -> tuple[list[extract.Quote], Mapping[str, Article]]:
    """The quotes that answer, and their articles.

    Questions asked at once are answered one by one where they are of several articles, or one is
    of an office, or one isn't answered.
    """
    quotes = _quotes(look)
    by_part = extract.merged([quote for part in look.parts for quote in _quotes(part)])
    is_office = any(holders.office_asked(part.question.text) for part in look.parts)
    others = {quote.article_id for quote in by_part} - {quote.article_id for quote in quotes[:1]}
    if not (look.untold or others or is_office):
        return quotes, look.articles
    return by_part, {i: article for part in look.parts for i, article in part.articles.items()}


def _quotes(look: Look) -> list[extract.Quote]:
    """What answers: who holds an office, if that is all that is asked; else the best sentences."""
    office = holders.office_asked(look.question.text)
    if office and office.only and look.pool:
        article, chance = look.best_article(), max(look.chances)
        if spans := holders.told(office, look.findings.concepts, article):
            return [extract.Quote(article.article_id, *span, chance) for span in spans]
    return extract.choose(look.question.text, extract.seen(look.pool, look.chances, look.findings))


def framed(
    quotes: Sequence[extract.Quote], articles: Mapping[str, Article], language: Language
) -> list[Line]:
    """The extractive answer: quotes in reading order, those of one article under its title."""
    lines: list[Line] = []
    for article_id in dict.fromkeys(quote.article_id for quote in quotes):
        if article_id not in articles:
            continue
        article = articles[article_id]
        date = f" ({article.date})" if article.date else ""
        title = article.title or article.source
        lines.append(Line(phrases.FRAMES[language].format(title=title, date=date)))
        own = sorted((q for q in quotes if q.article_id == article_id), key=lambda q: q.start)
        for quote in own:
            text = " ".join(article.text[quote.start : quote.end].split())
            shown = f"“{text}”" if not text.startswith("“") else text
            support = Support(article_id, quote.start, quote.end, quote.probability)
            lines.append(Line(shown, (support,)))
    return lines


def untold(look: Look) -> str:
    """The note on those of several questions that aren't answered; "" where all are."""
    language = look.question.language
    bare = [citations.unmarked(question.rstrip("?？。. ")) for question in look.untold]
    said = ("；" if language == "zh" else "? ").join(bare)
    return phrases.UNTOLD[language].format(questions=said) if said else ""
