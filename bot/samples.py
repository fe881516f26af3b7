"""What /docs and the OpenAPI document show as an example of each body, and of the stream."""

from typing import Any

ARTICLE_ID = "a-7d1f0c2b9e"
CITATION: dict[str, Any] = {
    "n": 1,
    "article_id": ARTICLE_ID,
    "title": "西安市雁塔区政协献策优化营商环境",
    "date": "2023-06-01",
    "source": "page.txt",
    "quote": "委员们建议,要打通数据壁垒",
    "start": 62,
    "end": 75,
    "answer_spans": [[0, 56]],
    "verified": True,
    "score": 0.87,
    "gloss": "",
    "translated_by": "",
}
PASSAGE: dict[str, Any] = {
    "passage_id": f"{ARTICLE_ID}:0",
    "article_id": ARTICLE_ID,
    "title": "西安市雁塔区政协献策优化营商环境",
    "text": "委员们建议,要打通数据壁垒,各部门真正实现数据互联互通。",
    "start": 62,
    "end": 90,
    "score": 0.91,
}
ANSWER: dict[str, Any] = {
    "question": "what did Yanta district propose?",
    "language": "en",
    "answer": "The articles report (in Chinese): 委员们建议,要打通数据壁垒 [1]",
    "answer_plain": "The articles report (in Chinese): 委员们建议,要打通数据壁垒",
    "abstained": False,
    "reason": None,
    "confidence": 0.93,
    "mode": "extractive",
    "model": "extractive",
    "citations": [CITATION],
    "passages": [PASSAGE],
    "timings_ms": {"embed": 4, "search": 6, "answer": 3, "total": 13},
    "note": "",
    "understood": "",
    "answer_id": "0b2f6f0e8f6c4f0e9f0a3d1c5b7e9a11",
}
EVENT = {
    "type": "object",
    "properties": {
        "event": {"enum": ["passages", "token", "citation", "answer", "error"]},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
    "required": ["event", "data"],
}
STREAM = """event: passages
data: {"passages":[...]}

event: token
data: {"text":"..."}

event: citation
data: {"n":1,...}

event: answer
data: {...the whole Answer...}
"""


JOB_ID = "5d0c7a1e4b6f4a0c8e2d9b3f7a6c1e58"
TEXT: dict[str, Any] = {
    "name": "2024-09-13.txt",
    "text": "书屋开进渔港\n九月十二日，流动书屋停在了渔港码头。",
}
REPORT: dict[str, Any] = {
    "added": 4,
    "updated": 0,
    "unchanged": 0,
    "removed": 0,
    "failed": [],
    "articles": 4,
    "passages": 31,
    "seconds": 2.4,
    "moved": 0,
}
ARTICLE: dict[str, Any] = {
    "article_id": ARTICLE_ID,
    "title": "西安市雁塔区政协献策优化营商环境",
    "subtitle": "",
    "byline": "",
    "date": "2023-06-01",
    "source": "page.txt",
    "fragments": [{"start": 0, "end": 412}],
    "also_in": [],
}
