"""The route that OpenAI's clients know: a chat whose model answers from the articles.

The last message of the user is the question, what came before is the conversation. System messages
are read and left alone: what they say can't loosen the rule that every sentence is cited, nor put
words into an answer. Sampling parameters change nothing here. Citations are `url_citation`
annotations on the message (in a stream: in its last delta) and the whole Answer is under `wenbao`.
Tokens are counted as words and Chinese characters.
"""

import json
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from fastapi.sse import EventSourceResponse
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from bot import problems, samples, schemas
from bot.api import gate
from bot.api.asking import STREAM_HEADERS, pinged
from bot.api.door import Door
from bot.people import TURNS
from bot.render import to_json
from rag.language import is_chinese
from rag.types import Answer, Citation, Found, Language, Piece, Question, Turn

MODEL = "wenbao"
MAX_MESSAGES = 500
_CREATED = 1_700_000_000
_TOKENS = re.compile(r"[\u3400-\u9fff]|[^\W\u3400-\u9fff]+")
_DONE = b"data: [DONE]\n\n"
_PING = b": ping\n\n"


# ── Bodies ──────────────────────────────────────────────────────────────────────────────────────


class Part(BaseModel):
    """A part of a message; only text says something here, no picture and no sound."""

    type: schemas.Text
    text: schemas.Text | None = None

    model_config = ConfigDict(strict=True)


class Message(BaseModel):
    """One message; other fields than these say nothing here."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: schemas.Text | list[Part] | None = None

    model_config = ConfigDict(strict=True)

    @property
    def said(self) -> str:
        """Its text."""
        if isinstance(self.content, list):
            return "\n".join(part.text or "" for part in self.content)
        return self.content or ""


class StreamOptions(BaseModel):
    """What a stream ends with."""

    include_usage: bool | None = False

    model_config = ConfigDict(strict=True)


_A_QUESTION: dict[str, Any] = {
    "type": "object",
    "properties": {
        "role": {"const": "user"},
        "content": {"type": "string", "pattern": schemas.HAS_TEXT},
    },
    "required": ["role", "content"],
}


class ChatBody(BaseModel):
    """A chat; parameters that are not named here are taken and change nothing."""

    model: schemas.Text = Field(max_length=200, examples=[MODEL])
    messages: list[Message] = Field(
        min_length=1, max_length=MAX_MESSAGES, json_schema_extra={"contains": _A_QUESTION}
    )
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    n: Annotated[int, Field(ge=1, le=1), BeforeValidator(schemas.whole)] | None = None

    model_config = ConfigDict(
        strict=True,
        json_schema_extra={
            "example": {
                "model": MODEL,
                "messages": [{"role": "user", "content": samples.ANSWER["question"]}],
            }
        },
    )


_CHUNK: dict[str, Any] = {
    "type": "object",
    "properties": {"data": {"type": "string", "description": "A chunk in JSON, or [DONE]."}},
    "required": ["data"],
}
_ANNOTATION: dict[str, Any] = {
    "type": "url_citation",
    "url_citation": {
        "url": "http://127.0.0.1:8080/v1/articles/a-7d1f0c2b9e",
        "title": "西安市雁塔区政协献策优化营商环境",
        "start_index": 0,
        "end_index": 56,
    },
}
_COMPLETION: dict[str, Any] = {
    "id": "chatcmpl-0b2f6f0e8f6c4f0e9f0a3d1c5b7e9a11",
    "object": "chat.completion",
    "created": _CREATED,
    "model": MODEL,
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": samples.ANSWER["answer"],
                "refusal": None,
                "annotations": [_ANNOTATION],
            },
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 6, "completion_tokens": 18, "total_tokens": 24},
    "wenbao": samples.ANSWER,
}
_MODEL_CARD: dict[str, Any] = {
    "id": MODEL,
    "object": "model",
    "created": _CREATED,
    "owned_by": "wenbao",
}


class CompletionJson(BaseModel):
    """A chat completion as OpenAI has it, with the whole Answer beside it."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[dict[str, Any]]
    usage: dict[str, int]
    wenbao: schemas.AnswerJson

    model_config = ConfigDict(title="Completion", json_schema_extra={"example": _COMPLETION})


class ModelsJson(BaseModel):
    """The models that can be asked: one."""

    object: Literal["list"]
    data: list[dict[str, Any]]

    model_config = ConfigDict(
        title="Models", json_schema_extra={"example": {"object": "list", "data": [_MODEL_CARD]}}
    )


class ErrorJson(BaseModel):
    """An error as OpenAI's clients read it; `code` is the last part of the problem's type."""

    error: dict[str, str | None]

    model_config = ConfigDict(
        title="OpenAIError",
        json_schema_extra={
            "example": {
                "error": {
                    "message": "The question is empty.",
                    "type": "invalid_request_error",
                    "param": None,
                    "code": "question-rejected",
                }
            }
        },
    )


# ── Routes ──────────────────────────────────────────────────────────────────────────────────────


def router(door: Door) -> APIRouter:
    """The two routes that chat clients use."""
    errors: dict[int | str, dict[str, Any]] = {
        status: {"model": ErrorJson, "description": problems.problem_for(status).title}
        for status in (400, 401, 404, 408, 413, 415, 422, 429, 500, 503)
    }
    made = APIRouter(
        prefix="/v1", tags=["openai"], dependencies=[Depends(gate.may_read)], responses=errors
    )

    @made.post(
        "/chat/completions",
        summary="Answer a chat",
        response_model=CompletionJson,
        responses={200: {"content": {"text/event-stream": {"itemSchema": _CHUNK}}}},
    )
    async def chat_completions(body: ChatBody, request: Request) -> Response:
        """Answer the last message of the user from the articles."""
        if body.model != MODEL:
            words = f"The model is called {MODEL}."
            raise problems.Refused(problems.MODEL_NOT_FOUND, words)
        request.state.language = _language((_questions(body.messages) or [""])[-1])
        question = await door.quick(_asked, door, body.messages)
        chat = _Chat(door, request, sum(_tokens(each.said) for each in body.messages))
        if body.stream:
            with_usage = bool(body.stream_options and body.stream_options.include_usage)
            events = chat.events(question, with_usage)
            return EventSourceResponse(events, headers=STREAM_HEADERS)
        answer = await door.app.answerer.answer(question)
        return JSONResponse(chat.whole(answer, await door.keep("openai", "", answer)))

    @made.get("/models", summary="List models", response_model=ModelsJson)
    async def models() -> Response:
        """The one model there is."""
        return JSONResponse({"object": "list", "data": [_MODEL_CARD]})

    return made


# ── The steps behind them ───────────────────────────────────────────────────────────────────────


def _language(text: str) -> Language:
    return "zh" if is_chinese(text) else "en"


def _questions(messages: Sequence[Message]) -> list[str]:
    return [each.said for each in messages if each.role == "user" and each.said.strip()]


def _asked(door: Door, messages: Sequence[Message]) -> Question:
    *before, text = _questions(messages) or [""]
    turns = [Turn(" ".join(each.split()), _language(each)) for each in before[-TURNS:]]
    return door.app.answerer.question(text, turns=turns)


def _tokens(text: str) -> int:
    return len(_TOKENS.findall(text))


class _Chat:
    """One reply, whole or in chunks."""

    def __init__(self, door: Door, request: Request, prompt_tokens: int) -> None:
        self._door = door
        self._request = request
        self._prompt_tokens = prompt_tokens
        self._id = f"chatcmpl-{request.state.request_id}"
        self._created = int(time.time())

    def whole(self, answer: Answer, answer_id: str) -> dict[str, object]:
        """The completion that isn't streamed."""
        message = {
            "role": "assistant",
            "content": answer.answer,
            "refusal": None,
            "annotations": self._annotations(answer, 0),
        }
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        return {
            **self._head("chat.completion"),
            "choices": [choice],
            "usage": self._usage(answer.answer),
            "wenbao": to_json(answer) | {"answer_id": answer_id},
        }

    async def events(self, question: Question, with_usage: bool) -> AsyncIterator[bytes]:
        """The chunks; an error in place of what is still to come."""
        said = ""
        try:
            yield self._chunk({"role": "assistant", "content": ""})
            async with aclosing(pinged(self._door.app.answerer.stream(question))) as items:
                async for item in items:
                    if item is None:
                        yield _PING
                    elif isinstance(item, Piece):
                        said += item.text
                        yield self._chunk({"content": item.text})
                    elif not isinstance(item, Found):
                        for chunk in await self._last(item, said, with_usage):
                            yield chunk
            yield _DONE
        except Exception as exc:  # the status line is gone: only a chunk can still say it
            problem = problems.explain(exc, self._request.scope)
            yield _event(problems.in_openai_shape(problem))

    async def _last(self, answer: Answer, said: str, with_usage: bool) -> list[bytes]:
        """What ends a stream: the rest of the text, the citations, the whole answer, the count.

        Nothing that was said can be taken back here: an answer that turned out otherwise follows.
        """
        answer_id = await self._door.keep("openai", "", answer)
        goes_on = answer.answer.startswith(said)
        before = "" if goes_on else f"{said}\n\n"
        rest = answer.answer[len(said) :] if goes_on else f"\n\n{answer.answer}"
        delta: dict[str, object] = {"content": rest} if rest else {}
        delta["annotations"] = self._annotations(answer, len(before))
        whole: dict[str, object] = {"wenbao": to_json(answer) | {"answer_id": answer_id}}
        chunks = [self._chunk(delta, whole, "stop")]
        if with_usage:
            usage = {"choices": [], "usage": self._usage(before + answer.answer)}
            chunks.append(_event(self._head("chat.completion.chunk") | usage))
        return chunks

    def _chunk(
        self,
        delta: dict[str, object],
        more: dict[str, object] | None = None,
        finish_reason: str | None = None,
    ) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        head = self._head("chat.completion.chunk")
        return _event({**head, "choices": [choice], **(more or {})})

    def _head(self, kind: str) -> dict[str, object]:
        return {"id": self._id, "object": kind, "created": self._created, "model": MODEL}

    def _usage(self, said: str) -> dict[str, int]:
        completion = _tokens(said)
        return {
            "prompt_tokens": self._prompt_tokens,
            "completion_tokens": completion,
            "total_tokens": self._prompt_tokens + completion,
        }

    def _annotations(self, answer: Answer, before: int) -> list[dict[str, object]]:
        """One for each place that a citation supports; `before` characters stand in front."""
        return [
            {
                "type": "url_citation",
                "url_citation": {
                    "url": self._url(citation),
                    "title": citation.title or citation.source,
                    "start_index": before + start,
                    "end_index": before + end,
                },
            }
            for citation in answer.citations
            for start, end in citation.answer_spans
        ]

    def _url(self, citation: Citation) -> str:
        return f"{self._request.base_url}v1/articles/{quote(citation.article_id, safe='')}"


def _event(body: object) -> bytes:
    return f"data: {json.dumps(body, ensure_ascii=False)}\n\n".encode()
