"""A stand-in for the HTTP door that behaves: serves the page, and what the page may ask for.

Every route answers as INTERFACE has it, from the sample articles and three of its own; a word in a
question chooses what becomes of it. The policy that the browser is held to is the real door's.
"""

import asyncio
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

WEB = Path(__file__).parents[1] / "bot" / "web"
SAMPLE = Path(__file__).parent / "data" / "sample" / "articles.jsonl"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)
KEY = "open-sesame"
HOSTILE = '<img src="x" onerror="alert(1)"><script>alert(2)</script>[1]'

Json = dict[str, Any]


def article(article_id: str, title: str, text: str, **more: str) -> Json:
    facts = {"subtitle": "", "byline": "", "date": "", "source": "", "fragments": []}
    return {"article_id": article_id, "title": title, "text": text, **facts, **more}


# 𠮷, 🚌 and 👩‍🏫 lie outside the first plane: there a code point is two UTF-16 units.
BUS = article(
    "own/bus",
    "流动书屋🚌开进渔港",
    "九月十二日，𠮷田海生把第一辆流动书屋🚌停在了渔港码头，车上有两千四百册书。\n"
    "👩‍🏫镇文化站站长梁素芬建议，书屋每周二、周五傍晚到港，让出海回来的人也能借书。\n"
    "渔民们说，等船的时候终于有事可做了。",
    subtitle="——一辆车、两千四百册书和一群晚归的人",
    byline="本报记者 柳青禾",
    date="2024-09-13",
    source="河口日报",
)
FERRY = article(
    "own/ferry",
    "Night ferry gets a second boat",
    "From Monday a second boat crosses the estuary after ten. “People who work late can go home,”"
    " said the harbour master, Ines Ward.\nA crossing costs two coins.",
    date="2024-10-02",
    source="The Estuary Post",
)
TRAP = article("own/trap", HOSTILE, f"{HOSTILE}\n正文里也有{HOSTILE}。", source=HOSTILE)

YANTA = "西安市雁塔区政协 为老年人办事开“绿灯”"
LAKE = "洱源县算好“一湖水”的账"
ELEVATOR = "老旧小区加装电梯，钱从哪里来？"

# A word in the question -> (title, quote, gloss) of each quotation.
QUOTES: Mapping[str, Sequence[tuple[str, str, str]]] = {
    "yanta": [
        (
            YANTA,
            "委员们建议：保留一个不用手机、不用取号的“老年窗口”；把高龄补贴认证由一年一次的"
            "现场办理改为社区网格员上门核对；在政务大厅备齐老花镜、放大镜和轮椅",
            "committee members suggest: keep window; change subsidy certification to grid worker"
            " visit door check; service hall: reading glasses, magnifier, wheelchair",
        ),
        (
            YANTA,
            "“老年窗口”4月底前在全区8个街道全部开设",
            "window open before end of April, 8 streets",
        ),
    ],
    "天心区": [
        (ELEVATOR, "天心区今年计划再加装180部电梯，区财政每部补助10万元", ""),
        (LAKE, "全县压减大蒜2.1万亩,建成生态库塘36个", ""),
    ],
    "书屋": [
        (BUS["title"], "书屋每周二、周五傍晚到港", ""),
        (BUS["title"], "车上有两千四百册书", ""),
    ],
    "library": [(BUS["title"], "书屋每周二、周五傍晚到港", "library arrive port Tuesday, Friday")],
    "whole": [(BUS["title"], BUS["text"][30:], "")],
    "ferry": [(FERRY["title"], "“People who work late can go home,”", "")],
    "trap": [(HOSTILE, HOSTILE, HOSTILE)],
}
EXAMPLES = {
    "en": [
        "What did the Yanta district members propose for old people?",
        "What does a lift cost in Tianxin district, and who pays?",
        "What does Eryuan county get when the lake water is clean?",
    ],
    "zh": [
        "雁塔区的委员为老年人办事提了哪些建议？",
        "天心区今年还要加装多少部电梯？",
        "洱源县的补偿资金怎么分配？",
    ],
}


@dataclass
class Desk:
    """What the stand-in knows and was asked; tests change it while it serves."""

    key: str = ""  # reading needs it too, where it is set
    delay_s: float = 0.0
    mended: bool = False  # nothing breaks off any more
    without: set[str] = field(default_factory=set)  # routes that this server doesn't have
    articles: list[Json] = field(default_factory=lambda: [*samples(), BUS, FERRY, TRAP])
    asked: list[Json] = field(default_factory=list)
    votes: list[Json] = field(default_factory=list)
    uploads: list[list[str]] = field(default_factory=list)
    jobs: list[Json] = field(default_factory=list)  # what a job's next looks find, one each

    def find(self, title: str) -> Json:
        return next(a for a in self.articles if a["title"] == title)


def samples() -> list[Json]:
    lines = SAMPLE.read_text(encoding="utf-8").splitlines()
    found = []
    for n, line in enumerate(lines):
        facts: dict[str, str] = json.loads(line)
        facts["source"] = facts.pop("page")
        found.append(article(f"sample/{n}", **facts))
    return found


def done(**report: Any) -> Json:
    """A job that is done, with what its report says."""
    usual = {"added": 0, "updated": 0, "unchanged": 0, "removed": 0, "failed": []}
    return {"state": "done", "files": 2, "files_done": 2, "report": usual | report}


# ── Answers ─────────────────────────────────────────────────────────────────────────────────────


def answer(desk: Desk, question: str) -> Json:
    """The whole Answer: the quotations that a word in the question calls for, or a refusal."""
    found = next((quotes for word, quotes in QUOTES.items() if word in question.lower()), ())
    chinese = any("\u4e00" <= char <= "\u9fff" for char in question)
    citations, lines, framed = [], [], ""
    for n, (title, quote, gloss) in enumerate(found, 1):
        page = desk.find(title)
        if title != framed:
            lines.append(frame(page, chinese))
            framed = title
        shown = " ".join(quote.split())
        lines.append(f"{shown if shown.startswith('“') else f'“{shown}”'} [{n}]")
        citations.append(citation(n, page, quote, gloss))
    text = "\n".join(lines) or refusal(chinese)
    return {
        "question": question,
        "language": "zh" if chinese else "en",
        "answer": text,
        "answer_plain": text,
        "abstained": not found,
        "reason": None if found else "not_in_articles",
        "confidence": 0.9 if found else 0.1,
        "mode": "extractive",
        "model": "extractive",
        "citations": citations,
        "passages": [passage(page) for page in desk.articles[:4]],
        "timings_ms": {"embed": 3.0, "search": 4.0, "answer": 1.0, "total": 8.0},
        "note": "",
        "understood": "",
        "answer_id": f"answer-{len(desk.asked)}",
    }


def frame(page: Json, chinese: bool) -> str:
    date = f" ({page['date']})" if page["date"] else ""
    title = page["title"].replace("[1]", "［1］")
    return f"据《{title}》{date}：" if chinese else f"From “{title}”{date}:"


def refusal(chinese: bool) -> str:
    if chinese:
        return f"收录的文章没有提到。最接近的文章是《{ELEVATOR}》。"
    return f"The articles don't say. The nearest article is “{ELEVATOR}”."


def citation(n: int, page: Json, quote: str, gloss: str) -> Json:
    start = page["text"].index(quote)  # Python counts code points, as the door does
    facts = {name: page[name] for name in ("article_id", "title", "date", "source")}
    more = {"verified": True, "score": 0.9, "gloss": gloss, "answer_spans": []}
    return {"n": n, **facts, "quote": quote, "start": start, "end": start + len(quote), **more}


def passage(page: Json) -> Json:
    text = page["text"][:80]
    facts = {"article_id": page["article_id"], "title": page["title"], "text": text}
    return {"passage_id": f"{page['article_id']}:0", **facts, "start": 0, "end": 80, "score": 0.5}


async def stream(desk: Desk, question: str) -> AsyncIterator[bytes]:
    """The events of a question; (dies) and (ends) stop half way, (fails) says why."""
    whole = answer(desk, question)
    if "a follow-up" in question:
        whole["understood"] = "When does the library come to the harbour of Hekou?"
    if "written" in question:
        whole |= written(desk)
    yield b": ping\n\n"
    yield event("passages", {"passages": whole["passages"]})
    await asyncio.sleep(desk.delay_s)
    known: set[int] = set()
    for line in whole["answer"].splitlines(keepends=True):
        yield event("token", {"text": line})
        for cited in whole["citations"]:
            if f"[{cited['n']}]" in line and cited["n"] not in known:
                known.add(cited["n"])
                yield event("citation", cited)
        if "(dies)" in question and not desk.mended:
            await asyncio.sleep(0.3)  # a browser throws away what it hasn't read when it breaks off
            raise ConnectionResetError("as asked for")
        if "(ends)" in question and not desk.mended:
            return
        if "(fails)" in question and not desk.mended:
            yield event("error", problem(503, "llm-away", "The language model is away"))
            return
    yield event("answer", whole)


def written(desk: Desk) -> Json:
    """Prose instead of quotations, as a language model writes it."""
    first = citation(
        1, desk.find(BUS["title"]), "书屋每周二、周五傍晚到港", "library arrive Tuesday"
    )
    second = citation(2, FERRY, "A crossing costs two coins.", "")
    text = (
        "The bookmobile calls at the harbour on Tuesdays and Fridays [1], in the evening.\n"
        "The night ferry costs two coins [2]."
    )
    note = "One sentence was left out: its figure isn't in the passages."
    prose = {"answer": text, "mode": "written", "model": "a-model", "note": note}
    return prose | {"citations": [first, second], "abstained": False, "reason": None}


def event(name: str, body: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps(body, ensure_ascii=False)}\n\n".encode()


def problem(status: int, slug: str, title: str) -> Json:
    kind = f"urn:wenbao:problem:{slug}"
    return {"type": kind, "title": title, "status": status, "detail": f"{title}."}


def refused(status: int, slug: str, title: str, **headers: str) -> Response:
    body = problem(status, slug, title)
    return JSONResponse(body, status, headers, media_type="application/problem+json")


# ── Routes ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Door:
    """The routes over a desk."""

    desk: Desk

    def turns_away(self, request: Request, key: str) -> Response | None:
        """What is said instead, where there is no such route or the key is missing."""
        if request.url.path.split("/")[2] in self.desk.without:
            return refused(404, "no-such-route", "There is nothing at this address")
        if key and request.headers.get("authorization") != f"Bearer {key}":
            return refused(401, "key-needed", "An API key is needed")
        return None

    async def ask(self, request: Request) -> Response:
        if away := self.turns_away(request, self.desk.key):
            return away
        body = await request.json()
        question = body["question"]
        self.desk.asked.append(body | {"accept": request.headers["accept-language"]})
        if "(busy)" in question:
            return refused(503, "index-away", "The index is away", **{"Retry-After": "5"})
        return StreamingResponse(stream(self.desk, question), media_type="text/event-stream")

    async def articles(self, request: Request) -> Response:
        if away := self.turns_away(request, self.desk.key):
            return away
        asked = request.query_params
        found = wanted(self.desk, asked.get("q", ""), asked.get("since", ""), asked.get("until"))
        first, count = int(asked.get("cursor", 0)), int(asked["limit"])
        more = str(first + count) if len(found) > first + count else None
        shown = [without_text(page) for page in found[first : first + count]]
        return JSONResponse({"articles": shown, "next_cursor": more})

    async def article(self, request: Request) -> Response:
        if away := self.turns_away(request, self.desk.key):
            return away
        for page in self.desk.articles:
            if page["article_id"] == request.path_params["article_id"]:
                return JSONResponse(page)
        return refused(404, "article-not-found", "No article has this id")

    async def upload(self, request: Request) -> Response:
        if away := self.turns_away(request, KEY):
            return away
        async with request.form() as form:
            sent = [cast("UploadFile", file).filename or "" for file in form.getlist("files")]
        self.desk.uploads.append(sent)
        return JSONResponse({"job_id": "job-1"}, 202)

    async def job(self, request: Request) -> Response:
        looks = self.desk.jobs
        look = looks.pop(0) if len(looks) > 1 else looks[0]
        if look["state"] == "away":
            return refused(503, "try-later", "Something is away for now")
        return JSONResponse({"job_id": "job-1", "report": None, "error": None} | look)

    async def feedback(self, request: Request) -> Response:
        if away := self.turns_away(request, self.desk.key):
            return away
        self.desk.votes.append(await request.json())
        return Response(status_code=204)

    async def examples(self, request: Request) -> Response:
        away = self.turns_away(request, self.desk.key)
        return away or JSONResponse({"questions": EXAMPLES[request.query_params["lang"]]})


async def index(request: Request) -> Response:
    return FileResponse(WEB / "index.html", headers={"Content-Security-Policy": POLICY})


def application(desk: Desk) -> Starlette:
    door = Door(desk)
    return Starlette(
        routes=[
            Route("/", index),
            Route("/v1/ask", door.ask, methods=["POST"]),
            Route("/v1/articles", door.articles),
            Route("/v1/articles", door.upload, methods=["POST"]),
            Route("/v1/articles/{article_id:path}", door.article),
            Route("/v1/jobs/{job_id}", door.job),
            Route("/v1/feedback", door.feedback, methods=["POST"]),
            Route("/v1/examples", door.examples),
            Mount("/static", StaticFiles(directory=WEB)),
        ]
    )


def wanted(desk: Desk, words: str, since: str, until: str | None) -> list[Json]:
    """The articles that hold all words, newest first; with a range of days only the dated ones."""
    dated = bool(since or until)
    return [
        page
        for page in sorted(desk.articles, key=lambda page: str(page["date"]), reverse=True)
        if all(word in page["title"] + page["source"] for word in words.split())
        and (not dated or (page["date"] and since <= page["date"] <= (until or "9")))
    ]


def without_text(page: Json) -> Json:
    return {name: value for name, value in page.items() if name != "text"}


@contextmanager
def serving(desk: Desk) -> Iterator[str]:
    """The stand-in on a loopback port, in a thread; gives its address."""
    config = uvicorn.Config(application(desk), log_config=None, access_log=False, ws="none")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=20)
