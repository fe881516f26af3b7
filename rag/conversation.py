"""A follow-up becomes whole questions, from the turns before it: by rule, and by a model if any.

"and in Wuxi?" is the last question with its place changed; "when did they open it?" is asked of the
articles that the last answer cited. What a question means is not always told by its words alone, so
there may be several readings; whoever answers takes the one that is answered best (answer.py).
A model's rewriting is one of them, no better than the others; what it is asked is in prompts.py.
"""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from rag import prompts
from rag.errors import LlmUnavailable
from rag.llm import Llm
from rag.terms import STOP_WORDS, Concept
from rag.types import Question, Turn
from rag.words import names
from rag.written import facts
from rag.written.replies import statements

Named = Callable[[str], Sequence[str]]  # the names in a text, as they are written there
Read = Callable[[str], Sequence[Concept]]  # a text -> what it speaks of

REWRITE_S = 3.0  # the longest that a follow-up waits for a model's rewriting
_SHARE = 0.25  # and of the time that is left for the answer
_MOST_CHARS = 240  # of a rewriting

_OPENING = re.compile(
    r"^(?:(?:and|so|but|then|also|ok|okay)\b[,\s]*|(?:那么?(?![个项位件些本次份条里儿])|还有|另外|然后)"
    r"[，,\s]*)+(?=.*\w)",
    re.I,
)
_INSTEAD = re.compile(
    r"^(?:what|how) about (?P<en>.{2,60}?)[?？\s]*$"
    r"|^(?P<zh>[^，,？?]{1,14}?)又?(?:呢|怎么样|如何)[？?\s]*$",
    re.I,
)
_SIDE = re.compile(
    r"^(?:(?P<where>in|at|for|of|on|from|by|to) )?(?P<what>(?:the )?.+?)[?？\s]*$", re.I
)
_ASKS = re.compile(
    r"多少|什么|哪|谁|何|几|怎|吗|为啥"
    r"|\b(?:how|what|when|who|whose|whom|where|why|which|is|are|was|were|did|does|do|can|has|have)\b",
    re.I,
)
_PERSON = re.compile(r"\b(?P<en>he|she|him|his|hers?)\b|(?P<zh>[他她](?!们|人))", re.I)
_POINTS = re.compile(
    r"\b(?:they|them|theirs?|its?|there(?! (?:is|are|was|were|be)\b)|that|those|this|these)\b"
    r"|[他她它]们|它|其(?![他中余实次])|该[区县市镇村乡校院]|[这那][个项位件些本次份条里儿]|当地|上述",
    re.I,
)
_PLACE_ENDS = "省市区县旗镇乡村州盟"
_AREA = r"(?: (?:province|city|county|district|prefecture|town(?:ship)?|village|banner))?"


def is_whole(question: Question, named: Named) -> bool:
    """Whether a question says by itself what it is about, or there was none before it."""
    if not question.turns or question.article_ids:
        return True
    return not leans(question, named) and bool(named(_OPENING.sub("", question.text)))


def leans(question: Question, named: Named) -> bool:
    """Whether a question can't be understood without the turns before it."""
    if not question.turns or question.article_ids:
        return False
    bare = _OPENING.sub("", question.text)
    return bool(_instead(bare, is_led=bare != question.text)) or _leans(question.text, named)


def readings(question: Question, named: Named) -> tuple[Question, ...]:
    """What a question may mean after the turns before it; only itself where it is whole."""
    if is_whole(question, named):
        return (question,)
    last, bare = question.turns[-1], _OPENING.sub("", question.text)
    if instead := _instead(bare, is_led=bare != question.text):
        return (replace(question, text=_swapped(last.question, instead, named)),)
    text = _with_person(bare, last, named)
    about = tuple(
        found
        for found in (_in_articles(question, text, last), _with_names(question, text, last, named))
        if found
    )
    return about if about and _leans(question.text, named) else (*about, question)


def rewritten(question: Question, read: Read, model: Llm, deadline: float) -> Question | None:
    """A follow-up as the whole question that a model takes it for; None where that is no use.

    `deadline` is that of the answer, on the monotonic clock.
    """
    now = time.monotonic()
    limit_s = min(REWRITE_S, _SHARE * (deadline - now))
    try:
        reply = model.complete(prompts.rewriting(question), now + limit_s)
    except LlmUnavailable:
        return None
    found = [statement.text for statement in statements([reply])]
    if len(found) == 1 and found[0] != question.text and _is_rewriting(found[0], question, read):
        return replace(question, text=found[0])
    return None


def _is_rewriting(text: str, question: Question, read: Read) -> bool:
    """Whether a text is one question, and speaks of nobody and no figure that no turn speaks of."""
    if len(text) > _MOST_CHARS or not text.endswith(("?", "？")) or prompts.is_echo(text):
        return False
    said = [question.text]
    for turn in question.turns:
        said += [turn.question, *turn.quotes]
    before = "\n".join(said)
    is_latin = not re.search("[㐀-鿿]", before)
    return all(f.stands_in(before) for f in facts.facts(text, read(text), same_script=is_latin))


def _in_articles(question: Question, text: str, last: Turn) -> Question | None:
    """Asked of the articles that the last answer cited."""
    return replace(question, text=text, article_ids=last.article_ids) if last.article_ids else None


def _with_names(question: Question, text: str, last: Turn, named: Named) -> Question | None:
    """With the names of the last question, where it has none of its own."""
    context = " ".join(_found_in(last.question, name) for name in named(last.question))
    if not context or named(text):
        return None
    mark = "？" if question.language == "zh" else "?"
    return replace(question, text=f"{text.rstrip('?？ ')} ({context}){mark}")


def _leans(asked: str, named: Named) -> bool:
    """Whether a question can't be its asker's first: it goes on, or points to what isn't in it."""
    bare = _OPENING.sub("", asked)
    found = _PERSON.search(bare) or _POINTS.search(bare)
    points = found is not None and not named(bare[: found.start()])
    return bare != asked or points or not _content(bare)


def _content(asked: str) -> bool:
    """Whether a question says anything but what kind of answer is wanted: "why?" doesn't."""
    latin = [word for word in re.findall(r"[a-z]+", asked.lower()) if word not in STOP_WORDS]
    chinese = re.sub(
        r"为什么|什么时候|时候|多少|怎么样?|哪[里儿]?|什么|谁|几|吗|呢|的|是|在|了|有|钱|原因",
        "",
        asked,
    )
    return bool(latin) or len(re.findall(r"[㐀-鿿]", chinese)) > 1


# --- the same question about something else ------------------------------------------------------


def _instead(asked: str, *, is_led: bool) -> str:
    """What is asked about instead, with its preposition; "" where this is another question.

    `is_led`: the asker began with "and" or 那, behind which the thing alone may stand.
    """
    if (match := _INSTEAD.match(asked)) and not _ASKS.search(match["en"] or match["zh"]):
        return str(match["en"] or match["zh"])
    few = len(asked.split()) <= 6 and asked.isascii()
    return asked.rstrip("? ") if is_led and few and not _ASKS.search(asked) else ""


def _swapped(question: str, instead: str, named: Named) -> str:
    """A question with what it was about changed for something else."""
    if year := re.fullmatch(r"(?:in )?(\d{4})年?", instead):
        found = re.sub(r"(?<!\d)\d{4}(?!\d)", year[1], question, count=1)
        return found if found != question else _added(question, instead)
    text, rest = question, instead
    for name in named(instead):
        written = _found_in(instead, name)
        rest = re.sub(r"^的|的$", "", rest.replace(written, "", 1)).strip(" ,，")
        old = [other for other in named(question) if _shape(other) == _shape(name)]
        text = text.replace(_found_in(text, old[0]), written, 1) if old else _added(text, written)
    rest = re.sub(r"\s*\b(?:in|at|of|for|from)$", "", rest).strip()
    match = _SIDE.match(rest)
    return _with_thing(text, match["where"] or "", match["what"]) if match else text


def _with_thing(question: str, where: str, thing: str) -> str:
    """A question with its thing, no name, changed for another."""
    if not thing.isascii():
        nouns = [
            word
            for _, word, tag in names.segmented(question)
            if tag in ("n", "nz", "vn", "nr") and not word.endswith(tuple(_PLACE_ENDS))
        ]
        return question.replace(nouns[-1], thing, 1) if nouns else _added(question, thing)
    bare = re.sub(r"^the ", "", thing)
    if where and re.search(rf"\b{where} ", question, re.I):
        return re.sub(r"\S+?(?=[?\s]*$)", lambda _: bare, question, count=1)
    counted = re.compile(r"((?:how (?:many|much)|which|what) (?:\w+ of )?)(\w+)", re.I)
    found = counted.sub(lambda m: m[1] + bare, question, count=1)
    return found if found != question else _added(question, thing)


def _added(question: str, thing: str) -> str:
    return f"{thing}，{question}" if not thing.isascii() else f"{question.rstrip('? ')} {thing}?"


def _found_in(text: str, name: str) -> str:
    """A name as a text writes it, in its capitals and with the kind of area behind it."""
    match = re.search(re.escape(name) + _AREA, text, re.I)
    return match[0] if match else name


def _shape(name: str) -> str:
    """Whether a name looks like a person's or a place's."""
    if name.isascii():
        return "person" if " " in name else "place"
    plain = names.without_suffix(name)
    return "place" if name[-1] in _PLACE_ENDS or plain in names.places() else "person"


# --- who is meant --------------------------------------------------------------------------------


def _with_person(asked: str, last: Turn, named: Named) -> str:
    """A question with "she" or 他 changed for the person of the last turn, if there is one."""
    people = [_found_in(last.question, n) for n in named(last.question) if _shape(n) == "person"]
    people += [n for quote in last.quotes for n in named(quote) if _shape(n) == "person"]
    match = _PERSON.search(asked)
    if not match or not people:
        return asked
    rest = asked[match.end() :]
    owns = match[0].lower() == "his" or (match[0].lower() == "her" and re.match(r" \w", rest))
    return asked[: match.start()] + people[0] + ("'s" if owns else "") + rest
