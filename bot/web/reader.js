// One article, with the quoted words lit up.

import { words } from "./language.js";
import { $, button, element, joined, tell, tongue } from "./page.js";
import { mark, reveal, show } from "./panel.js";
import { lines } from "./points.js";
import { get, wordsOf } from "./server.js";

const KEPT = 20; // articles that need not be asked for again
const texts = new Map(); // article id -> the promise of its whole article, the last opened last
let wanted = 0; // the number of the latest wish: only that one is shown

function whole(id) {
  const loading = texts.get(id) ?? get(`v1/articles/${encodeURIComponent(id)}`);
  loading.catch(() => texts.delete(id));
  texts.delete(id);
  texts.set(id, loading);
  if (texts.size > KEPT) texts.delete(texts.keys().next().value);
  return loading;
}

/** Shows an article; with a citation, its quote is lit up and scrolled to. */
export async function openArticle(id, from, citation = null) {
  wanted += 1;
  const wish = wanted;
  let article;
  try {
    article = await whole(id);
  } catch (error) {
    tell(wordsOf(error));
    return;
  }
  if (wish !== wanted) return; // another one was opened meanwhile
  fill(article, citation);
  const fromList = from.closest("#list") !== null;
  mark(citation ? from : null);
  show("reader", fromList && $("sheet").open ? undefined : from);
  $("article-title").focus({ preventScroll: true });
  const lit = $("article-text").querySelector("mark");
  if (lit) reveal(lit);
}

/** An entry that opens an article. */
export function articleButton(article) {
  const { article_id: id, title, date, source } = article;
  return button(
    { class: "entry" },
    (pressed) => openArticle(id, pressed),
    element("span", { class: "title", lang: tongue(title) }, title || source || id),
    element("span", { class: "facts" }, joined(date, source)),
  );
}

function fill(article, citation) {
  const { title, subtitle, byline, date, source, text } = article;
  const { start, end } = citation ?? { start: 0, end: 0 };
  const set = lines(text, start, end);
  const lit = set.map((line) =>
    line
      .filter((piece) => piece.marked)
      .map((piece) => piece.text)
      .join(""),
  );
  const holds = !citation || lit.filter(Boolean).join("\n") === trimmed(citation.quote);
  $("reader").lang = tongue(title + text);
  $("article-title").textContent = title || source;
  $("article-subtitle").textContent = subtitle;
  $("article-facts").textContent = joined(date || words.undated, source, byline);
  $("article-moved").hidden = holds;
  $("article-moved").textContent = words.moved;
  $("article-text").replaceChildren(...set.map((line) => paragraph(line, holds)));
  describe($("article-text").querySelector("mark"));
}

/** Lets screen readers say the quote with the title, which has the focus. */
function describe(lit) {
  if (lit) lit.id = "lit";
  if (lit) $("article-title").setAttribute("aria-describedby", "lit");
  else $("article-title").removeAttribute("aria-describedby");
}

/** A quote's lines as they can be lit up: without its empty ones. */
function trimmed(quote) {
  return quote.split("\n").filter(Boolean).join("\n");
}

function paragraph(line, lit) {
  return element(
    "p",
    {},
    ...line.map(({ text, marked }) => (marked && lit ? element("mark", {}, text) : text)),
  );
}
