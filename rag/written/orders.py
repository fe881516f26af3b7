"""Sentences that speak to a language model instead of a reader, and text that can't be seen.

A page may carry orders for whoever feeds it to a model. None of them is shown to one, and nothing
is said on their word. Telling them by their words can't be complete: it stands beside the rules of
the prompt and the checks of support.py, which rest on nothing of the kind.
"""

import re
import unicodedata
from functools import lru_cache

from rag.chunking import sentences

_ORDINARY = re.compile(r"[\n\t\x20-\x7e㐀-鿿，。、；：？！“”‘’（）《》—…％·]*")
LEFT_OUT = "[…]"

_ENGLISH = (
    r"\b(?:ignore|disregard|forget|override|bypass|skip|drop|overlook)\b.{0,40}"
    r"\b(?:above|previous|prior|earlier|preceding|foregoing|rules?|instructions?|prompts?"
    r"|guidelines?|directions?|constraints?)\b",
    r"\b(?:system|hidden|initial|developer|original|secret)[ -]?(?:prompt|message|instructions?)\b",
    r"\byour (?:system |hidden |own |exact |initial )*"
    r"(?:prompt|instructions|rules|guidelines)\b",
    r"\byou are (?:now|no longer|henceforth|an? (?:ai|assistant|chatbot|language model))\b",
    r"\b(?:as|dear|attention|note to|hey|hello),? (?:an? |the |all )?"
    r"(?:ai|assistants?|language models?|llms?|chatbots?|models?)\b",
    r"\b(?:assistant|ai|chatbot|llm)s?\s*(?:must|should|shall|has to|have to|will now|[:：,])",
    r"\bnew (?:rules?|instructions?|task|orders?|role)\b\s*[:：]",
    r"\b(?:respond|reply|answer|output|print|say|write|repeat|begin|start|end|finish|close)\b.{0,30}"
    r"\b(?:only|exactly|verbatim|just|instead|with the (?:word|words|phrase|sentence|text|token)"
    r"|the following|every (?:answer|reply|sentence)|your (?:answer|reply|response))\b",
    r"\b(?:cite|quote|reference|credit) (?:only )?(?:passage|source|\[)",
    r"\b(?:end of|stop|close|closing) (?:the )?(?:passages?|context|documents?|quotation)\b",
    r"\b(?:jailbreak|developer mode|dan mode|do anything now|prompt injection|sudo)\b",
    r"\b(?:append|add|insert|include|attach|embed|put)\b.{0,40}"
    r"\b(?:link|url|script|tag|html|markdown|to (?:your|every|each) (?:answer|reply))\b",
    r"\b(?:call|invoke|run|execute) (?:the )?(?:tool|function|command|code|plugin)\b",
)
_CHINESE = (
    r"(?:忽略|无视|忘[记掉]|不[要用必]理会|抛开|违反|推翻|绕过).{0,12}"
    r"(?:指令|指示|提示词?|设定|约束|规则|(?:以上|上述|上面|之前|前面|此前|先前)的?(?:所有|全部|内容|要求))",
    r"(?:系统|隐藏|初始|原始|开发者|内部)的?(?:提示(?![音铃])|指令|消息|设定)",
    r"提示[词语](?:是|全文|原文|内容|[:：，。]|$)|(?:你|您)的(?:提示|指令|规则|设定)",
    r"(?:你|您)(?:现在|从现在起|已经|以后)?(?:是|就是|扮演|变成|成为|不再是)(?:一[个名位])?"
    r".{0,8}(?:助手|机器人|模型|AI|人工智能|程序|管理员)",
    r"(?:作为|致|请)(?:一[个名位])?(?:AI|人工智能|语言模型|大模型|模型|聊天机器人|智能体)",
    r"(?:AI|人工智能|语言模型|大模型|聊天机器人|智能体|模型|助手)(?:必须|务必|请|注意|[:：])",
    r"新(?:的)?(?:指令|命令|角色)\s*(?:[:：]|如下|是)",
    r"(?:只|仅|一律|统一|改为|改成|直接)(?:用|以|能|可|需|要)?.{0,8}(?:回答|回复|输出|作答|复述)",
    r"(?:请|必须|务必|然后|并且?|再).{0,6}(?:输出|复述|打印|逐字)",
    r"(?:回答|回复|答案|输出)(?:的)?(?:末尾|结尾|开头|最后|前面|后面|里|中|时|必须|一律|改为|改成|[:：]\s*[“\"])",
    r"(?:引用|标注|注明|出处)(?:为|成|写|编号|段落|一律)*\s*(?:第|\[|【|\d).{0,8}",
    r"(?:调用|执行|运行)(?:该|这个)?(?:工具|函数|命令|代码|插件)",
    r"(?:越狱|开发者模式|管理员模式|上帝模式|提示注入)",
    r"(?:附上|加上|插入|嵌入|贴上|添加).{0,16}(?:链接|网址|脚本|标签|代码|二维码)",
    r"(?:以下|以上|下面|接下来).{0,6}(?:是|为)(?:真正的|新的|正式的)(?:指令|问题|任务|要求)",
    r"(?:段落|引文|材料|上下文)(?:到此)?(?:结束|为止|完毕)",
)
_FORMS = (  # how a conversation with a model is written down, and what belongs into no newspaper
    r"^\W{0,6}(?:system|assistant|user|human|developer|系统|助手|用户|开发者)\s*[:：\]】>]",
    r"<\|[^|>]{0,40}\|>|\[/?INST\]|<<SYS>>|###\s*(?:system|instruction|指令|系统)",
    r"</?\s*(?:passage|system|context|document|instructions?|script|iframe|img|svg|a)\b",
    r"!\[[^\]]*\]\(|\]\(\s*(?:https?|javascript|data):",
    r"\b(?:CANNOT_ANSWER|javascript:|data:text)",
)
_ORDER = re.compile(
    "|".join(f"(?:{pattern})" for pattern in (*_ENGLISH, *_CHINESE, *_FORMS)),
    re.IGNORECASE | re.MULTILINE,
)


@lru_cache(maxsize=8192)  # sentences of pages that are asked about again and again
def is_order(sentence: str) -> bool:
    """Whether a sentence speaks to a language model, as far as its words tell."""
    return _ORDER.search(visible(sentence)) is not None


def withheld(text: str) -> str:
    """A text with a mark in the place of each sentence that speaks to a model."""
    if not is_order(text):
        return text
    shown, end = "", 0
    for a, b in sentences(text):
        if is_order(text[a:b]):
            shown += text[end:a] + LEFT_OUT
            end = b
    return shown + text[end:]


def visible(text: str) -> str:
    """A text in plain width, without characters that can't be seen; line ends stay."""
    if _ORDINARY.fullmatch(text):
        return text
    kept = (c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cf", "Cc", "Co"))
    return "".join(unicodedata.normalize("NFKC", c) if _is_disguise(c) else c for c in kept)


def _is_disguise(char: str) -> bool:
    """Whether this is a letter or figure of another shape: ｉ, 𝐢, ⓘ."""
    plain = unicodedata.normalize("NFKC", char)
    return plain != char and plain.isascii() and plain.isalnum()
