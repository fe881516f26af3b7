"""Who holds an office: whether a question asks that, and which clauses of an article tell.

“Who is the mayor?” isn't answered by an article that names no mayor, however much else it has in
common with the question. Only offices that have few names in either language are known here: what
a “head” or a 负责人 may be called in the other language is open.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rag import chunking
from rag.chunking import Span
from rag.extract import LOOSE
from rag.metadata.persons import Person, people_of
from rag.terms import Concept, normalise, spoken, stands, written
from rag.types import Article
from rag.words.names import segmented

# In English, and how a Chinese article writes it. The longer English names come first.
_OFFICES: tuple[tuple[str, str], ...] = (
    (r"county (?:head|chief|magistrate|mayor|governor)|magistrate", "县长"),
    (r"district (?:head|chief|mayor|governor|magistrate)", "区长"),
    (r"(?:township|town) (?:head|chief|mayor)", "镇长|乡长"),
    (
        r"head of (?:[\w'’-]+ ){1,4}?(?:district|county|city|town(?:ship)?)",
        "区长|县长|市长|镇长|乡长|书记",
    ),
    (r"mayor", "市长|区长|州长|镇长"),
    (r"governor", "省长|州长|行长|区主席|政府主席"),
    (r"general secretary", "总书记|总干事"),
    (r"secretary[- ]general", "秘书长"),
    (r"party (?:chief|boss|head|secretary)|secretary of the party", "书记|支书"),
    (r"prime minister|premier", "总理|首相"),
    (r"chair(?:man|woman|person)?", "主席|董事长|会长|理事长|主任|主委|组长|社长"),
    (r"president", "主席|院长|会长|校长|总裁|行长|总统|社长|理事长|董事长|台长"),
    (r"headmaster|headmistress|principal", "校长|园长"),
    (r"spokes(?:man|woman|person)", "发言人"),
)
# What is no such office though it is spelt like one: 主席会议, 市长热线, 总书记.
_NO_OFFICE = {"主席": "会议|团|台", "市长": "热线|信箱", "书记": "处|员", "主任": "医师|护师|科员"}
_ASKED_ZH = (
    "市长|县长|区长|省长|州长|镇长|乡长|主席|总书记|书记|董事长|秘书长|总理|总统|校长|发言人"
)
_WHO_ZH = re.compile(
    rf"(?P<deputy>副?)(?P<office>{_ASKED_ZH})(?:现在|目前|到底|又|都|会)?(?:是|叫)?"
    r"(?:谁|哪一?位|什么(?:名字)?|何人)(?![事话法会时])"
    rf"|(?:谁|哪一?位)(?:现在|目前)?(?:是|担任|当|任|现任|出任)"
    rf"[^，。？?谁]{{0,16}}?(?P<deputy2>副?)(?P<office2>{_ASKED_ZH})[的呢啊？?]*$"
)
_WHO_EN = re.compile(
    r"\b(?:who(?:['’]s| is| was| are| were| became| holds the office of"
    r"| (?:currently )?serve[sd]? as)|(?:what is|what's|tell me|give me) the name of)"
    r"(?: (?:now|currently|the|its|their|elected|appointed))*"
    r"(?P<lead>(?: (?!(?:who|that|which|whom|person|man|woman|one|by|with|met|said|and)\b)"
    r"[\w'’&-]+){0,6}?)"
    rf" (?:{'|'.join(f'(?P<o{i}>{en})' for i, (en, _) in enumerate(_OFFICES))})s?\b(?!['’]s)",
    re.I,
)
_MORE_EN = re.compile(r"\b(?:and (?:what|how|when|where|why|who|which)|that|who|which)\b", re.I)
_PLACE_END = re.compile("(?<=..)(?:省|市|区|县|州|旗|镇|乡|自治[区州县旗])$")
_DEPUTY_EN = re.compile(r"\b(?:deputy|vice)\b", re.I)


@dataclass(frozen=True, slots=True)
class Office:
    """An office that is asked about: what a text that speaks of it has in it.

    The usual names come first. `only` says whether nothing else is asked.
    """

    names: tuple[re.Pattern[str], ...]
    only: bool

    def stands_in(self, text: str) -> bool:
        """Whether a text speaks of it."""
        return any(name.search(text) for name in self.names)

    def rank(self, text: str) -> int:
        """How usual the first of its names in a text is, 0 the most."""
        return next(i for i, name in enumerate(self.names) if name.search(text))


def office_asked(question: str) -> Office | None:
    """The office whose holder a question asks for; None where it asks something else."""
    if found := _WHO_ZH.search(question):
        title = found["office"] or found["office2"]
        deputy = bool(found["deputy"] or found["deputy2"])
        names = [en for en, chinese in _OFFICES if title in chinese.split("|")]
        return _office([title], names, deputy=deputy, only=len(question) - found.end() < 4)
    if found := _WHO_EN.search(question):
        which = next(i for i in range(len(_OFFICES)) if found[f"o{i}"])
        english, chinese = _OFFICES[which]
        deputy = bool(_DEPUTY_EN.search(found["lead"]))
        only = not _MORE_EN.search(question, found.end())
        return _office(chinese.split("|"), [english], deputy=deputy, only=only)
    return None


def lacks(question: str, article: Article) -> bool:
    """Whether a question asks for a holder, and an article can't tell.

    It never speaks of that office, or not of a place that a Chinese question names.
    """
    office = office_asked(question)
    if office is None:
        return False
    whole = f"{article.title} {article.subtitle} {article.text}"
    if not office.stands_in(whole):
        return True
    form = written(normalise(whole))
    words = [word for _, word, tag in segmented(normalise(question)) if tag.startswith("ns")]
    return any(len(word) > 1 and _PLACE_END.sub("", word) not in form for word in words)


def told(office: Office, found: Sequence[Concept], article: Article) -> list[Span]:
    """The clauses that name who holds an office, of those people the likest to what is asked."""
    people = [
        person
        for person in people_of(article)
        if person.start >= 0 and office.stands_in(person.office)
    ]
    likeness = [(_likeness(person, found), -office.rank(person.office)) for person in people]
    return [
        _clause(article.text, person)
        for person, likely in zip(people, likeness, strict=True)
        if likely == max(likeness)
    ]


def _likeness(person: Person, found: Sequence[Concept]) -> int:
    """How many of a question's concepts stand in an office: the place, what it is of."""
    plain = normalise(f"{person.organisation} {person.office}")
    form, sound = written(plain), spoken(plain)
    return sum(stands(concept, form, sound) for concept in found)


def _clause(text: str, person: Person) -> Span:
    """The clause with a name; more of the sentence where the office stands outside of it."""
    for start, end in chunking.sentences(text):
        if start <= person.start < end:
            reach = _reach(text, person, chunking.clauses(text, start, end)) or (start, end)
            return reach[0], reach[0] + len(text[slice(*reach)].rstrip(LOOSE))
    return person.start, person.end


def _reach(text: str, person: Person, clauses: Sequence[Span]) -> Span | None:
    """From the clause with the name on, or back, as far as the office; None if it isn't there."""
    own = next(i for i, (_, end) in enumerate(clauses) if person.start < end)
    start, end = clauses[own]
    on = [(start, last) for _, last in clauses[own:]]
    back = [(first, end) for first, _ in reversed(clauses[:own])]
    return next((span for span in on + back if person.office in text[slice(*span)]), None)


def _office(titles: list[str], english: list[str], *, deputy: bool, only: bool) -> Office:
    """A deputy isn't the holder, nor the other way round."""
    before = "副" if deputy else "(?<!副)"
    forms = []
    for title in titles:
        guard = "(?<!总)" if title == "书记" else ""
        behind = f"(?!{_NO_OFFICE[title]})" if title in _NO_OFFICE else ""
        forms.append(f"{before}{guard}{title}{behind}")
    rank = r"\b(?:deputy|vice)[- ]" if deputy else r"(?<!deputy )(?<!vice )(?<!vice-)\b"
    forms += [f"{rank}(?:{name})" for name in english]
    return Office(tuple(re.compile(form, re.I) for form in forms), only)
