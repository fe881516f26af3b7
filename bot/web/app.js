// The chat page: asks /v1/ask, shows the answer, and opens each citation in its article.
//
// Everything that comes from articles and models is inserted as text, never as HTML. Offsets are
// Unicode code points, so article texts are cut as arrays of code points, not as UTF-16 strings.

const WORDS = {
  en: {
    all: "All articles",
    answers: "Answers",
    api: "API",
    articles: "Articles",
    back: "← Back to the answer",
    cancel: "Cancel",
    done: (n) => (n === 1 ? "Answered, with 1 source." : `Answered, with ${n} sources.`),
    example: (title) => `What does the article 《${title}》 report?`,
    examples: "For example",
    failed: "That didn't work",
    filter: "Filter by title, date or source",
    keyAgain: "That key is not known here. Check it and try again.",
    keyLabel: "API key",
    keyTitle: "An API key, please",
    keyWords: "This server answers only those who have a key. It stays in this tab.",
    label: "Your question",
    left: (n) => `${n} more: type in the filter to find them.`,
    motto: "Ask the newspaper",
    nothing: "No article fits.",
    open: "Continue",
    placeholder: "Who, what, when, how many … in English or Chinese",
    refused: (reason) => joined("Not answered", reason),
    searching: "Reading the articles …",
    send: "Ask",
    skip: "Skip to the question",
    source: (n, title) => `Source ${n}: ${title}`,
    sources: "Sources",
    stop: "Stop",
    stopped: "Stopped.",
    took: (ms) => `${ms} ms`,
    unindexed: "No articles yet. Add some with: wenbao ingest FILES",
    modes: { extractive: "Sentences quoted from the articles", written: "Written by" },
    reasons: {
      entity_not_found: "this name is not in the articles",
      not_in_articles: "the articles don't say",
      off_topic: "not what the articles are about",
      too_vague: "too vague: name a person, a place or a thing",
    },
    problems: {
      "article-not-found": "This article is no longer here.",
      "body-too-large": "The question is too long.",
      "index-away": "The articles can't be read just now. Try again in a moment.",
      "internal": "Something went wrong on the server.",
      "key-needed": "This needs an API key.",
      "llm-away": "The language model is away. Try again in a moment.",
      "model-away": "The server isn't ready: its model is missing.",
      "network": "The server can't be reached.",
      "try-later": "Something is away for now. Try again in a moment.",
    },
  },
  zh: {
    all: "全部文章",
    answers: "回答",
    api: "接口",
    articles: "文章",
    back: "← 返回回答",
    cancel: "取消",
    done: (n) => `已回答，共 ${n} 处出处。`,
    example: (title) => `《${title}》报道了什么？`,
    examples: "试着问问",
    failed: "没有成功",
    filter: "按标题、日期或来源筛选",
    keyAgain: "密钥不对，请检查后重试。",
    keyLabel: "密钥",
    keyTitle: "请输入密钥",
    keyWords: "本服务器只回答持有密钥的人。密钥只保存在这个标签页里。",
    label: "您的问题",
    left: (n) => `还有 ${n} 篇，请输入文字筛选。`,
    motto: "向报纸提问",
    nothing: "没有符合的文章。",
    open: "继续",
    placeholder: "何人、何事、何时、多少……中英文均可",
    refused: (reason) => joined("未能回答", reason),
    searching: "正在查阅文章……",
    send: "提问",
    skip: "跳到提问框",
    source: (n, title) => `出处 ${n}：${title}`,
    sources: "出处",
    stop: "停止",
    stopped: "已停止。",
    took: (ms) => `${ms} 毫秒`,
    unindexed: "还没有文章。请用 wenbao ingest 加入报纸文件。",
    modes: { extractive: "摘自原文的句子", written: "撰写：" },
    reasons: {
      entity_not_found: "文章中没有这个名称",
      not_in_articles: "文章里没有提到",
      off_topic: "与这些文章无关",
      too_vague: "问题太笼统，请说出人物、地点或事情",
    },
    problems: {
      "article-not-found": "这篇文章已不在库中。",
      "body-too-large": "问题太长了。",
      "index-away": "暂时读不到文章，请稍后再试。",
      "internal": "服务器出错了。",
      "key-needed": "需要密钥。",
      "llm-away": "语言模型暂时没有回应，请稍后再试。",
      "model-away": "服务器尚未就绪：缺少模型。",
      "network": "连接不上服务器。",
      "try-later": "服务暂时不可用，请稍后再试。",
    },
  },
};

const SHOWN_AT_MOST = 200;
const KEY = "wenbao.key";
const LANGUAGE = "wenbao.language";
const $ = (id) => document.getElementById(id);

let language = firstLanguage();
let words = WORDS[language];
let articles = [];
let listFailed = null;
let asking = null; // the AbortController of the question under way
let keyAsked = null; // the promise of the key dialog, while it is open
let origin = null; // the element that the open article was opened from
const texts = new Map(); // article id -> the promise of its whole article

// ── Small things ─────────────────────────────────────────────────────────────────────────────

/** Makes an element; strings among the children become text nodes. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** What a tab remembers; a browser that forbids storage remembers nothing. */
function remembered(storage, name, value) {
  try {
    if (value !== undefined) window[storage].setItem(name, value);
    return window[storage].getItem(name);
  } catch {
    return value ?? null;
  }
}

/** The language tag of a text, so that fonts and voices fit it. */
function tongue(text) {
  return /[\u3400-\u9fff]/.test(text) ? "zh-CN" : "en";
}

class Problem extends Error {
  constructor(body) {
    super(body.detail || body.title || "");
    this.slug = String(body.type || "").split(":").pop();
  }

  /** What to tell the person: in their language where we have it, else the server's words. */
  get words() {
    return words.problems[this.slug] || this.message || words.problems.internal;
  }
}

// ── Asking the server ────────────────────────────────────────────────────────────────────────

/** Fetches; asks for a key when the server wants one. Throws Problem. */
async function request(path, options = {}) {
  let key = remembered("sessionStorage", KEY) || "";
  for (;;) {
    const headers = { ...options.headers, ...(key && { Authorization: `Bearer ${key}` }) };
    const response = await reach(path, { ...options, headers });
    if (response.ok) return response;
    const body = await response.json().catch(() => ({ type: "internal" }));
    if (response.status !== 401) throw new Problem(body);
    const newer = remembered("sessionStorage", KEY) || "";
    key = newer && newer !== key ? newer : await askKey(key !== "");
    if (!key) throw new Problem(body);
  }
}

async function reach(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({ type: "network" });
  }
}

/** Opens the key dialog once for all that wait for it; gives the key, or "" if cancelled. */
function askKey(again) {
  keyAsked ??= new Promise((resolve) => {
    const dialog = $("key");
    $("key-words").textContent = again ? words.keyAgain : words.keyWords;
    $("key-value").value = "";
    dialog.returnValue = "";
    dialog.addEventListener("close", () => {
      keyAsked = null;
      const given = dialog.returnValue === "given" ? $("key-value").value.trim() : "";
      $("key-value").value = "";
      if (given) remembered("sessionStorage", KEY, given);
      resolve(given);
    }, { once: true });
    dialog.showModal();
  });
  return keyAsked;
}

/** Splits a stream of server-sent events; yields [name, data]. */
async function* events(body) {
  let rest = "";
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const lines = block.split("\n");
      const field = (name) =>
        lines.filter((l) => l.startsWith(`${name}: `)).map((l) => l.slice(name.length + 2));
      const data = field("data").join("\n");
      if (data) yield [field("event")[0] || "message", JSON.parse(data)];
    }
  }
}

/** Asks; calls `onToken` for each piece; gives the whole answer. Throws Problem. */
async function ask(question, signal, onToken) {
  const response = await request("v1/ask", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ question, stream: true }),
    signal,
  });
  try {
    for await (const [name, data] of events(response.body)) {
      if (name === "token") onToken(data.text);
      if (name === "error") throw new Problem(data);
      if (name === "answer") return data;
    }
  } catch (error) {
    if (error instanceof Problem || error.name === "AbortError") throw error;
  }
  throw new Problem({ type: "network" });
}

/** The whole list of articles, newest first. */
async function allArticles() {
  const found = [];
  let cursor = "";
  do {
    const query = new URLSearchParams({ limit: "500", ...(cursor && { cursor }) });
    const page = await (await request(`v1/articles?${query}`)).json();
    found.push(...page.articles);
    cursor = page.next_cursor;
  } while (cursor);
  return found.sort((a, b) => b.date.localeCompare(a.date) || a.title.localeCompare(b.title, "zh"));
}

function wholeArticle(id) {
  if (!texts.has(id)) {
    const path = `v1/articles/${encodeURIComponent(id)}`;
    const loading = request(path).then((response) => response.json());
    loading.catch(() => texts.delete(id));
    texts.set(id, loading);
  }
  return texts.get(id);
}

// ── A question and its answer ────────────────────────────────────────────────────────────────

async function onAsk(event) {
  event.preventDefault();
  if (asking) {
    asking.abort();
    return;
  }
  const question = $("question").value.trim();
  if (!question) return;
  asking = new AbortController();
  setBusy(true);
  const turn = element("article", { class: "turn", "aria-busy": "true" });
  const body = element("p", { class: "answer waiting" });
  turn.append(element("h3", { lang: tongue(question), dir: "auto" }, question), body);
  $("answers").after(turn);
  $("examples").hidden = true;
  try {
    const answer = await ask(question, asking.signal, (text) => body.append(text));
    showAnswer(turn, body, answer);
    $("question").value = "";
  } catch (error) {
    showFailure(turn, body, error);
  }
  turn.removeAttribute("aria-busy");
  asking = null;
  setBusy(false);
}

function setBusy(busy) {
  $("send").textContent = busy ? words.stop : words.send;
  $("send").classList.toggle("plain", busy);
  if (busy) tell(words.searching);
}

/** Says how it stands, under the question; what is `heard` goes to screen readers only. */
function tell(seen, heard = "") {
  $("status").replaceChildren(seen, element("span", { class: "unseen" }, ` ${heard}`));
}

function showAnswer(turn, body, answer) {
  body.className = "answer";
  body.lang = answer.language === "zh" ? "zh-CN" : "en";
  body.replaceChildren(...marked(answer));
  if (answer.abstained) {
    showRefusal(turn, body, answer);
    return;
  }
  turn.append(sources(answer.citations), facts(answer));
  tell(words.done(answer.citations.length), answer.answer_plain);
}

function showRefusal(turn, body, answer) {
  turn.classList.add("refusal");
  const verdict = words.refused(words.reasons[answer.reason]);
  body.before(element("p", { class: "verdict", "data-reason": answer.reason }, verdict));
  tell("", `${verdict}. ${answer.answer_plain}`);
}

function showFailure(turn, body, error) {
  const stopped = error.name === "AbortError";
  if (!stopped && !(error instanceof Problem)) console.error(error);
  const detail = stopped ? words.stopped : error.words || words.problems.internal;
  turn.classList.add(stopped ? "stopped" : "failure");
  body.className = "answer";
  body.replaceChildren(detail);
  if (!stopped) body.before(element("p", { class: "verdict" }, words.failed));
  tell("", stopped ? detail : `${words.failed}: ${detail}`);
}

/** The answer's text with every marker [n] that has a citation as a button. */
function marked(answer) {
  const citations = new Map(answer.citations.map((citation) => [String(citation.n), citation]));
  return answer.answer.split(/(\[\d+\])/).map((piece) => {
    const citation = citations.get(piece.slice(1, -1));
    return piece.startsWith("[") && citation ? marker(citation) : piece;
  });
}

function marker(citation) {
  const label = words.source(citation.n, citation.title);
  const button = element("button", {
    type: "button", class: "marker", "aria-label": label, title: citation.title,
  }, String(citation.n));
  button.addEventListener("click", () => openArticle(citation.article_id, button, citation));
  return button;
}

function sources(citations) {
  const list = element("ol", { class: "sources" });
  for (const citation of citations) {
    const open = element("button", { type: "button", class: "source", lang: tongue(citation.quote) },
      element("span", { class: "number" }, String(citation.n)),
      element("span", { class: "title" }, citation.title),
      element("span", { class: "facts" }, joined(citation.date, citation.source)),
      element("q", { class: "quote" }, citation.quote));
    open.addEventListener("click", () => openArticle(citation.article_id, open, citation));
    list.append(element("li", {}, open));
  }
  return element("section", {}, element("h4", {}, words.sources), list);
}

function facts(answer) {
  const written = answer.mode === "written";
  const mode = words.modes[answer.mode] + (written ? ` ${answer.model}` : "");
  const total = answer.timings_ms.total;
  const took = total === undefined ? "" : words.took(Math.round(total));
  return element("p", { class: "quiet" }, joined(answer.note, mode, took));
}

function joined(...parts) {
  return parts.filter(Boolean).join(" · ");
}

// ── The panel: the list, or one article ──────────────────────────────────────────────────────

function showList() {
  $("reader").hidden = true;
  $("list").hidden = false;
  $("panel").setAttribute("aria-labelledby", "panel-title");
  const wanted = $("filter").value.trim().toLowerCase().split(/\s+/);
  const fits = articles.filter((article) => {
    const known = joined(article.title, article.subtitle, article.date, article.source).toLowerCase();
    return wanted.every((word) => known.includes(word));
  });
  $("articles").replaceChildren(...fits.slice(0, SHOWN_AT_MOST).map(entry));
  $("count").textContent = articles.length ? String(articles.length) : "";
  $("more").textContent = remark(fits.length);
}

function remark(fitting) {
  if (listFailed) return listFailed.words;
  if (!articles.length) return words.unindexed;
  if (!fitting) return words.nothing;
  return fitting > SHOWN_AT_MOST ? words.left(fitting - SHOWN_AT_MOST) : "";
}

function entry(article) {
  const open = element("button", { type: "button", class: "entry", lang: tongue(article.title) },
    element("span", { class: "title" }, article.title),
    element("span", { class: "facts" }, joined(article.date, article.source)));
  open.addEventListener("click", () => openArticle(article.article_id, open));
  return element("li", {}, open);
}

/** Shows an article; with a citation, its quote is lit up and scrolled to. */
async function openArticle(id, from, citation = null) {
  origin = from;
  let article;
  try {
    article = await wholeArticle(id);
  } catch (error) {
    tell(error.words || words.problems.internal);
    return;
  }
  if (origin !== from) return; // another one was opened meanwhile
  fillReader(article, citation);
  markCurrent(citation ? from : null);
  $("list").hidden = true;
  $("reader").hidden = false;
  $("back").hidden = !citation;
  $("panel").setAttribute("aria-labelledby", "article-title");
  $("panel").scrollTop = 0;
  $("article-title").focus({ preventScroll: true });
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const target = $("article-text").querySelector("mark") || $("panel");
  const block = target === $("panel") ? "start" : "center";
  target.scrollIntoView({ block, behavior: calm ? "auto" : "smooth" });
}

function fillReader(article, citation) {
  const { title, subtitle, byline, date, source, text } = article;
  $("reader").lang = tongue(title + text);
  $("article-title").textContent = title;
  $("article-subtitle").textContent = subtitle;
  $("article-facts").textContent = joined(date, source, byline);
  const [start, end] = citation ? [citation.start, citation.end] : [0, 0];
  $("article-text").replaceChildren(...paragraphs(text, start, end));
}

/** The text as paragraphs; code points start to end are marked, across paragraphs too. */
function paragraphs(text, start, end) {
  let at = 0;
  return text.split("\n").map((line) => {
    const points = Array.from(line);
    const a = Math.min(Math.max(start - at, 0), points.length);
    const b = Math.min(Math.max(end - at, a), points.length);
    const cut = (from, to) => points.slice(from, to).join("");
    at += points.length + 1;
    const lit = a < b ? [element("mark", {}, cut(a, b))] : [];
    return element("p", {}, cut(0, a), ...lit, cut(b, points.length));
  });
}

function markCurrent(button) {
  document.querySelectorAll("[aria-current]").forEach((b) => b.removeAttribute("aria-current"));
  button?.setAttribute("aria-current", "true");
}

/** Back to where the article was opened from. */
function goBack() {
  const from = origin;
  markCurrent(null);
  showList();
  if (from?.isConnected) {
    from.focus();
    from.scrollIntoView({ block: "nearest" });
  }
}

function showAll() {
  origin = null;
  markCurrent(null);
  showList();
  $("filter").focus();
}

/** Three articles, spread over the list, as questions to start with. */
function showExamples() {
  const titled = articles.filter((article) => article.title);
  const step = Math.max(1, Math.floor(titled.length / 3));
  const chosen = titled.filter((_, i) => i % step === 0).slice(0, 3);
  $("examples").querySelector("ul").replaceChildren(...chosen.map((article) => {
    const question = words.example(article.title);
    const button = element("button", { type: "button", class: "example" }, question);
    button.addEventListener("click", () => {
      $("question").value = question;
      $("ask").requestSubmit();
    });
    return element("li", {}, button);
  }));
  $("examples").hidden = !chosen.length || document.querySelector(".turn") !== null;
}

// ── Languages ────────────────────────────────────────────────────────────────────────────────

function firstLanguage() {
  const chosen = remembered("localStorage", LANGUAGE);
  if (chosen === "en" || chosen === "zh") return chosen;
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

function speak() {
  words = WORDS[language];
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const place of document.querySelectorAll("[data-words]")) {
    place.textContent = words[place.dataset.words];
  }
  $("question").placeholder = words.placeholder;
  $("filter").placeholder = words.filter;
  $("back").textContent = words.back;
  tell("");
  const other = language === "zh" ? ["English", "en"] : ["中文", "zh-CN"];
  $("language").textContent = other[0];
  $("language").lang = other[1];
  for (const line of document.querySelectorAll("[data-reason]")) {
    line.textContent = words.refused(words.reasons[line.dataset.reason]);
  }
  showExamples();
  if ($("reader").hidden) showList();
}

// ── Beginning ────────────────────────────────────────────────────────────────────────────────

$("ask").addEventListener("submit", onAsk);
$("question").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault(); // Enter that ends a pinyin composition must not send
  if (!asking) $("ask").requestSubmit();
});
$("filter").addEventListener("input", showList);
$("back").addEventListener("click", goBack);
$("all").addEventListener("click", showAll);
$("key").querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  $("key").close("given");
});
$("key-cancel").addEventListener("click", () => $("key").close(""));
$("language").addEventListener("click", () => {
  language = language === "zh" ? "en" : "zh";
  remembered("localStorage", LANGUAGE, language);
  speak();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !$("reader").hidden && !$("key").open) goBack();
});

speak();
$("more").textContent = "";
try {
  articles = await allArticles();
} catch (error) {
  listFailed = error instanceof Problem ? error : new Problem({ type: "internal" });
}
showExamples();
if ($("reader").hidden) showList();
