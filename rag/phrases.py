"""What Wenbao itself says, in both languages: refusals, frames around quotes, notes.

Does not cover what articles, models and people say, nor the words of the doors (bot/).
"""

from rag.types import Language, Reason

REFUSALS: dict[Language, dict[Reason, str]] = {
    "en": {
        "not_in_articles": "The articles don't say.",
        "off_topic": "That is not something the indexed articles speak of. Ask me about the news"
        " in them, for example who proposed what, when, where or how many.",
        "entity_not_found": "The articles don't mention {missing}.",
        "too_vague": "Please say a little more: which place, person or topic do you mean?",
    },
    "zh": {
        "not_in_articles": "收录的文章没有提到。",
        "off_topic": "收录的文章不涉及这个话题。"
        "可以问我报道里的内容，比如谁提出了什么、时间、地点、数量。",
        "entity_not_found": "收录的文章没有提到{missing}。",
        "too_vague": "请说得再具体一些：您想问哪个地方、哪个人或哪件事？",
    },
}
NEAREST: dict[Language, str] = {
    "en": " The nearest article is “{title}”.",
    "zh": "最接近的文章是《{title}》。",
}
EMPTY: dict[Language, str] = {
    "en": "No articles are indexed yet, so there is nothing to answer from. Whoever runs this adds"
    " pages with the command wenbao ingest.",
    "zh": "还没有收录任何文章，无从回答。管理员可用 wenbao ingest 命令添加报纸版面。",
}
FRAMES: dict[Language, str] = {
    "en": "From “{title}”{date}:",
    "zh": "据《{title}》{date}：",
}
AWAY: dict[Language, str] = {
    "en": "The language model is away; these are the passages themselves.",
    "zh": "语言模型暂时不可用，以下为原文摘录。",
}
UNUSABLE: dict[Language, str] = {
    "en": "The language model wrote nothing that the articles bear out; these are the passages"
    " themselves.",
    "zh": "语言模型没有写出能在文章中核实的内容，以下为原文摘录。",
}
WITHHELD: dict[Language, str] = {
    "en": "An answer was withheld because its citations didn't hold.",
    "zh": "引文未能通过核对，答案不予显示。",
}
ABOUT: dict[Language, str] = {
    "en": "{question}? (in “{title}”)",
    "zh": "{question}？（《{title}》）",
}
UNTOLD: dict[Language, str] = {
    "en": "The articles don't say: {questions}?",
    "zh": "收录的文章没有提到：{questions}？",
}
