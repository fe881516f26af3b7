"""Every sentence that a person reads on Telegram, in English and Chinese.

Does not cover answers and refusals (rag/answer.py), nor how they look (render_telegram.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from rag.errors import QuestionRejected, TryLater, WenbaoError
from rag.types import Language


@dataclass(frozen=True, slots=True)
class Words:
    """The sentences of one language; those in braces are filled in."""

    greeting: str
    indexed: str
    nothing_indexed: str
    examples: str
    no_admin: str
    help: str
    admin_help: str
    no_question: str
    only_text: str
    reference: str
    gave_up: str
    forgotten: str
    language: str
    language_set: str
    sources: str
    latest: str
    no_title: str
    privacy: str
    erased: str
    feedback_how: str
    feedback_none: str
    feedback_ask: str
    feedback_kept: str
    vote_kept: str
    vote_other: str
    gone: str
    banned: str
    closed: str
    minute: str
    day: str
    inline_hint: str
    inline_wait: str
    inline_day: str
    inline_none: str
    inline_answer: str
    stats: str
    ingesting: str
    ingested: str
    ingest_failed: str
    ingest_partly: str
    ingest_how: str
    file_type: str
    file_size: str
    removed: str
    ids_missing: str
    ban_how: str
    ban_done: str
    unban_done: str
    allow_done: str
    article_button: str
    passages_button: str
    erase_button: str
    auto_button: str
    commands: tuple[tuple[str, str], ...]
    admin_commands: tuple[tuple[str, str], ...]


WORDS: Mapping[Language, Words] = {
    "en": Words(
        greeting="I am Wenbao. Ask me about what the newspaper reports; every answer quotes the "
        "articles that it comes from.",
        indexed="Articles indexed: {articles}.",
        nothing_indexed="No article is indexed yet: whoever runs me adds newspaper pages with "
        "`wenbao ingest`.",
        examples="For example:",
        no_admin="I have no admin yet. Your number is {id}; whoever runs me can make you one.",
        help="Write your question, in English or Chinese. I answer from the indexed articles only "
        "and quote them: [¹] in the answer is the quotation with [¹]; tap a long one to open it. "
        "When the articles don't say, I tell you so. You can follow up: “and in 2023?”\n\n"
        "In a group, mention me, reply to me, or write /ask and the question. In any chat, write "
        "my name and a question to send an answer there.\n\n"
        "/sources lists what is indexed, /latest the newest articles; /new begins a new "
        "conversation, /lang sets my language, /feedback tells me what was wrong, /privacy says "
        "what is kept about you.",
        admin_help="\n\nFor admins: send a file of newspaper pages or articles to have it indexed; "
        "/stats, /remove ID, /ban ID, /unban ID, /allow ID.",
        no_question="Write the question after /ask, for example: /ask who chaired the meeting?",
        only_text="I can read text only: please write your question.",
        reference=" (reference {reference})",
        gave_up="I began to answer this several times and was interrupted every time; please ask "
        "it another way.",
        forgotten="Done: I have forgotten our conversation. Your next question stands alone.",
        language="In which language shall I answer? Now: {now}.",
        language_set="Done: I answer in {now} from now on.",
        sources="What is indexed: {articles} articles. Page {page} of {pages}; tap a number to "
        "read the article.",
        latest="The newest articles; tap a number to read one.",
        no_title="(no title)",
        privacy="I keep your questions and answers for {days} days, so that you can go on asking "
        "and leaf through what I quoted; votes and comments with their question for {votes} "
        "days, so that whoever runs me can use them; your language until you change it; how many "
        "questions you asked today until tomorrow; the number of each message for {updates} days, "
        "so that I never answer twice. A message itself is deleted as soon as it is answered. "
        "Nothing goes to anyone else{model}.",
        erased="Done: your questions, answers, votes, comments and language are deleted. Only how "
        "many questions you asked today stays, until tomorrow.",
        feedback_how="Tap 👍 or 👎 under an answer. To say more, write /feedback and a sentence: "
        "it goes with my last answer to you.",
        feedback_none="I have given you no answer yet that this could go with.",
        feedback_ask="Thank you. Was the answer right all the same?",
        feedback_kept="Thank you: your comment is kept with the answer.",
        vote_kept="Thank you!",
        vote_other="Only the person who asked can rate this answer.",
        gone="That is no longer here.",
        banned="I may not answer you here; whoever runs me decided so.",
        closed="I answer invited people only. Whoever runs me can let you in: your number is {id}.",
        minute="That's a lot of questions at once: please give me a minute.",
        day="That was the last question for today, to leave room for others. Until tomorrow!",
        inline_hint="Write a question about the articles",
        inline_wait="A little slower, please",
        inline_day="No more questions today",
        inline_none="The articles don't say",
        inline_answer="The answer",
        stats="{articles} articles, {passages} passages, {files} files\n"
        "Today: {asked} questions by {people} people\n"
        "Votes: {up} up, {down} down\nWaiting: {waiting} updates; banned: {banned}",
        ingesting="Reading {name} … {done} of {total}",
        ingested="{name}: {added} added, {updated} updated, {unchanged} unchanged. {articles} "
        "articles in all.",
        ingest_failed="{name} was not indexed: {reason}",
        ingest_partly="Not all of it: {reason}",
        ingest_how="Send me the file: newspaper pages (text, HTML, PDF, Word), articles "
        "(.jsonl) or a ZIP file of them, up to {mb} MB.",
        file_type="I can't index files of this type; these I can: {types}.",
        file_size="That file is too large: up to {mb} MB.",
        removed="Removed: {count}.",
        ids_missing="Write the ids after the command; when you open an article, its id stands "
        "under its title.",
        ban_how="Reply to a message of theirs with {command}, or write {command} and their number.",
        ban_done="{id} gets no answers any more; /unban {id} takes it back.",
        unban_done="{id} is no longer banned.",
        allow_done="{id} may ask now.",
        article_button="📄 Article",
        passages_button="🔎 More",
        erase_button="🗑 Delete all of it",
        auto_button="Same as my question",
        commands=(
            ("ask", "Ask a question"),
            ("new", "Forget the conversation so far"),
            ("sources", "What is indexed"),
            ("latest", "The newest articles"),
            ("lang", "Language of the answers"),
            ("feedback", "Say what was wrong with an answer"),
            ("privacy", "What is kept about you; delete it"),
            ("help", "How to ask and how to read the answers"),
            ("start", "What I know, and examples"),
        ),
        admin_commands=(
            ("stats", "How much is indexed and asked"),
            ("ingest", "Index a file"),
            ("remove", "Take articles out"),
            ("ban", "Answer someone no more"),
            ("unban", "Take a ban back"),
            ("allow", "Let someone in"),
        ),
    ),
    "zh": Words(
        greeting="我是问报。您可以就报纸的报道向我提问，每个回答都引用所依据的原文。",
        indexed="现已收录 {articles} 篇文章。",
        nothing_indexed="还没有收录文章：请管理员用 `wenbao ingest` 加入报纸版面。",
        examples="例如：",
        no_admin="我还没有管理员。您的号码是 {id}，部署我的人可以把您设为管理员。",
        help="直接写下问题即可，中文、英文都行。我只根据已收录的文章回答，并附上原文："
        "回答里的 "
        "[¹] 对应带 [¹] 的引文，较长的引文点一下即可展开。文章里没有的，我会直说。"
        "可以接着追问，比如“那2023年呢？”\n\n"
        "在群里，请 @我、回复我，或者用 /ask 加上问题。"
        "在任何聊天里写我的用户名加问题，就能把回答发到那里。\n\n"
        "/sources 列出收录的文章，/latest 看最新的；/new 重新开始对话，/lang 设定语言，/feedback "
        "告诉我哪里不对，/privacy 说明保存了什么。",
        admin_help="\n\n管理员：把报纸版面或文章的文件发给我即可入库；"
        "/stats、/remove 编号、/ban、/unban、/allow。",
        no_question="请把问题写在 /ask 后面，例如：/ask 会议由谁主持？",
        only_text="我只能读文字，请把问题写下来。",
        reference="（编号 {reference}）",
        gave_up="这个问题我几次开始回答都被打断了，请换个说法再问。",
        forgotten="好了，之前的对话我已忘记，下一个问题单独作答。",
        language="要我用哪种语言回答？现在是：{now}。",
        language_set="好了，以后用{now}回答。",
        sources="共收录 {articles} 篇文章。第 {page} 页，共 {pages} 页；点数字阅读文章。",
        latest="最新的文章；点数字阅读。",
        no_title="（无标题）",
        privacy="我把您的问题和回答保存 {days} 天，以便您接着追问、翻看引文；"
        "评价和意见连同问题保存 {votes} 天，供管理员改进；语言设定保存到您更改为止；"
        "当天的提问次数保存到第二天；每条消息的编号保存 {updates} 天，以免重复回答。"
        "消息本身答完即删。不会提供给任何其他人{model}。",
        erased="好了，您的提问、回答、评价、意见和语言设定都已删除，只有今天的提问次数保留到明天。",
        feedback_how="请点回答下面的 👍 或 👎。想多说几句，就写 /feedback 加一句话，"
        "它会附在我给您的上一个回答上。",
        feedback_none="找不到可以附上这条意见的回答。",
        feedback_ask="谢谢。总的来说，这个回答对吗？",
        feedback_kept="谢谢，您的意见已附在那个回答上。",
        vote_kept="谢谢！",
        vote_other="只有提问的人可以评价这个回答。",
        gone="这条内容已经不在了。",
        banned="我不能在这里回答您，这是管理员的决定。",
        closed="我只回答受邀的人。管理员可以为您开通，您的号码是 {id}。",
        minute="一下子问得有点多，请让我歇一分钟。",
        day="今天的提问次数用完了，留些机会给别人，明天再来吧！",
        inline_hint="写一个关于报道的问题",
        inline_wait="请慢一点",
        inline_day="今天的提问次数用完了",
        inline_none="报道中没有提到",
        inline_answer="回答",
        stats="{articles} 篇文章，{passages} 个段落，{files} 个文件\n"
        "今天：{people} 人提了 {asked} 个问题\n"
        "评价：{up} 个赞，{down} 个踩\n等待处理：{waiting} 条；封禁：{banned} 人",
        ingesting="正在读取 {name} … {done} / {total}",
        ingested="{name}：新增 {added} 篇，更新 {updated} 篇，{unchanged} 篇未变。"
        "现共 {articles} 篇。",
        ingest_failed="{name} 没有入库：{reason}",
        ingest_partly="其中有没能入库的：{reason}",
        ingest_how="把文件发给我：报纸版面（文本、HTML、PDF、Word）、"
        "文章（.jsonl）或它们的 ZIP 压缩包，最大 {mb} MB。",
        file_type="不能收录这种文件，可以收录的有：{types}。",
        file_size="文件太大，最大 {mb} MB。",
        removed="已移除 {count} 篇。",
        ids_missing="请在命令后写上文章编号；您打开文章时，标题下有它的编号。",
        ban_how="用 {command} 回复那个人的消息，或写 {command} 加上号码。",
        ban_done="{id} 不再得到回答；/unban {id} 可以撤销。",
        unban_done="{id} 已解除封禁。",
        allow_done="{id} 现在可以提问。",
        article_button="📄 原文",
        passages_button="🔎 更多",
        erase_button="🗑 全部删除",
        auto_button="随我提问的语言",
        commands=(
            ("ask", "提问"),
            ("new", "忘记之前的对话"),
            ("sources", "收录了什么"),
            ("latest", "最新的文章"),
            ("lang", "回答用什么语言"),
            ("feedback", "说说回答哪里不对"),
            ("privacy", "保存了什么，可以删除"),
            ("help", "怎样提问，怎样读回答"),
            ("start", "收录了什么，可以怎么问"),
        ),
        admin_commands=(
            ("stats", "收录和提问的数量"),
            ("ingest", "收录一个文件"),
            ("remove", "移除文章"),
            ("ban", "不再回答某人"),
            ("unban", "解除封禁"),
            ("allow", "允许某人提问"),
        ),
    ),
}

LANGUAGES: Mapping[Language, Mapping[str, str]] = {
    "en": {"auto": "the language of the question", "zh": "Chinese", "en": "English"},
    "zh": {"auto": "提问所用的语言", "zh": "中文", "en": "英文"},
}
MODEL_ELSEWHERE: Mapping[Language, str] = {
    "en": ", except that a language model writes the answers: it gets the question",
    "zh": "，但回答由语言模型撰写，它会得到问题",
}

# From an error's class to what the asker is told; the closest class counts.
_ERRORS: Mapping[type[Exception], Mapping[Language, str]] = {
    QuestionRejected: {
        "en": "I can't take this question: please ask in 1 to {max_chars} characters.",
        "zh": "这个问题我没法处理：请用 1 到 {max_chars} 个字提问。",
    },
    TryLater: {
        "en": "I can't get at the articles just now; please ask again in a minute.",
        "zh": "暂时读不到文章，请过一分钟再问。",
    },
    WenbaoError: {
        "en": "I can't answer until whoever runs me has put something right; please tell them.",
        "zh": "我出了需要管理员处理的问题，暂时无法回答，请告知管理员。",
    },
    Exception: {
        "en": "Something went wrong on my side; please ask again.",
        "zh": "我这边出了点问题，请再问一次。",
    },
}


def of_error(error: BaseException | None, language: Language, max_chars: int) -> str:
    """What the asker is told of an error."""
    kind = next((each for each in type(error).__mro__ if each in _ERRORS), Exception)
    return _ERRORS[kind][language].format(max_chars=max_chars)
