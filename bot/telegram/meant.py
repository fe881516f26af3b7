"""What a message means: whether the bot is meant, what is asked, in which language; pure."""

import re
from collections.abc import Sequence

from telegram import Bot, Message, MessageEntity, Update
from telegram.constants import ChatType

from rag.types import Language

_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff]")
_LETTER = re.compile(r"[^\W\d_]")


def language_of(message: Message, text: str) -> Language:
    """The asker's language: of what is asked, else of their Telegram."""
    code = message.from_user.language_code if message.from_user else None
    return language_of_text(text) or language_of_code(code)


def language_of_text(text: str) -> Language | None:
    """The language of a text, or None where it has no letters."""
    if _HAN.search(text):
        return "zh"
    return "en" if _LETTER.search(text) else None


def language_of_code(code: str | None) -> Language:
    """The nearest of our languages to that of someone's Telegram."""
    return "zh" if (code or "").lower().startswith("zh") else "en"


def message_of_person(update: Update) -> Message | None:
    """The message of a person, new or edited; None for what else an update brings.

    What is sent through an inline mode, ours above all, are not a person's own words.
    """
    message = update.message or update.edited_message
    if not message or message.is_automatic_forward or message.via_bot:
        return None
    by_bot = message.from_user and message.from_user.is_bot and not message.sender_chat
    return None if by_bot else message


def asker(message: Message) -> int:
    """Who writes; a channel or a group that writes as itself counts as its chat.

    Telegram gives such messages a stand-in for a sender, the same one for all groups.
    """
    if message.sender_chat or not message.from_user:
        return (message.sender_chat or message.chat).id
    return message.from_user.id


def asked(message: Message, bot: Bot) -> str | None:
    """The question in a message, or None where it is not meant for the bot.

    Of a bare mention or a bare /ask, the question is the text that it replies to.
    """
    text, command = message.text or "", _command(message)
    mentions = [entity for entity in message.entities if _is_mention(entity, message, bot)]
    if not (command or mentions or message.chat.type == ChatType.PRIVATE or _answers(message, bot)):
        return None
    own = _without(text, [*command, *mentions])
    other = message.reply_to_message
    return own or ((other.text or other.caption) if other else None) or ""


def argument(message: Message) -> str:
    """What stands after a command."""
    return _without(message.text or message.caption or "", _command(message))


def topic(message: Message) -> int | None:
    """The thread id, where it names a topic: elsewhere Telegram refuses it."""
    return message.message_thread_id if message.is_topic_message else None


def _command(message: Message) -> list[MessageEntity]:
    entities = message.entities or message.caption_entities
    return [each for each in entities if each.type == each.BOT_COMMAND and each.offset == 0]


def _is_mention(entity: MessageEntity, message: Message, bot: Bot) -> bool:
    if entity.type == MessageEntity.TEXT_MENTION:
        return entity.user is not None and entity.user.id == bot.id
    name = f"@{bot.username}".lower()
    return entity.type == MessageEntity.MENTION and message.parse_entity(entity).lower() == name


def _answers(message: Message, bot: Bot) -> bool:
    """Whether it answers the bot; a forum's messages "answer" the one that opened the topic."""
    other = message.reply_to_message
    return bool(
        other and other.from_user and other.from_user.id == bot.id and not other.forum_topic_created
    )


def _without(text: str, entities: Sequence[MessageEntity]) -> str:
    """The text less these entities, whose offsets count UTF-16 units."""
    raw = text.encode("utf-16-le", "surrogatepass")
    for entity in sorted(entities, key=lambda each: each.offset, reverse=True):
        raw = raw[: 2 * entity.offset] + raw[2 * (entity.offset + entity.length) :]
    return raw.decode("utf-16-le", "surrogatepass").strip(" \n\t,，:：")
