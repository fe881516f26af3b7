// One question and what became of it: drawn from what is known of it, again whenever that changes.

import { copyText } from "./copy.js";
import { words } from "./language.js";
import { button, element, icon, joined, tongue } from "./page.js";
import { articleButton, openArticle } from "./reader.js";
import { wordsOf } from "./server.js";
import { gloss, marker, standsIn, typeset } from "./typeset.js";
import { thumbs } from "./votes.js";

let turns = 0;

/** A question under way. `state` is asking, answered, stopped or failed. */
export function begun(question) {
  turns += 1;
  const body = element("div", { class: "answer" });
  const lead = element("div", { class: "lead" });
  const tail = element("div");
  const reply = element("div", { class: "reply" }, lead, body, tail);
  const heading = element("h2", { id: `question-${turns}`, tabindex: "-1" }, question);
  heading.lang = tongue(question);
  const node = element("article", { "aria-labelledby": heading.id }, heading, reply);
  return { ...blank(), question, node, heading, lead, body, tail };
}

/** What is forgotten when a question is asked again. */
export function blank() {
  return { state: "asking", text: "", citations: new Map(), answer: null, error: null, vote: null };
}

/** Draws all of a turn; `again` asks it once more. */
export function draw(turn, again) {
  const { state, answer } = turn;
  const kind = answer?.abstained ? "refusal" : state;
  turn.node.className = `turn ${kind}`;
  turn.node.setAttribute("aria-busy", String(state === "asking"));
  drawText(turn);
  turn.lead.replaceChildren(...leading(turn));
  turn.tail.replaceChildren(...(answer ? trailing(turn) : interrupted(turn, again)));
}

/** Draws only the text, which is all that changes while an answer comes. */
export function drawText(turn) {
  const { answer, body, citations, text } = turn;
  if (answer) body.lang = answer.language === "zh" ? "zh-CN" : "en";
  else body.lang = tongue(turn.question);
  typeset(body, text, citations, openCitation);
}

function openCitation(citation, from) {
  openArticle(citation.article_id, from, citation);
}

function leading({ answer }) {
  const parts = [];
  if (answer?.understood) {
    parts.push(
      element(
        "p",
        { class: "understood" },
        element("span", { class: "label" }, words.taken),
        " ",
        element("span", { lang: tongue(answer.understood) }, answer.understood),
      ),
    );
  }
  if (answer?.abstained)
    parts.push(element("p", { class: "verdict" }, icon("none"), verdict(answer)));
  return parts;
}

export function verdict(answer) {
  return joined(words.refused, words.reasons[answer.reason]);
}

/** What stands under an answer: its note, its sources, what can be done with it. */
function trailing(turn) {
  const { answer } = turn;
  const acts = element("div", { class: "acts" });
  if (!answer.abstained) {
    acts.append(button({ class: "act" }, () => copyText(copied(answer)), icon("copy"), words.copy));
  }
  acts.append(...thumbs(turn), element("p", { class: "quiet" }, made(answer)));
  return [
    ...(answer.note
      ? [element("p", { class: "note", lang: tongue(answer.note) }, answer.note)]
      : []),
    ...(answer.abstained ? nearest(answer) : [sources(answer)]),
    acts,
  ];
}

function made(answer) {
  if (answer.abstained) return "";
  return answer.mode === "written" ? words.modes.written(answer.model) : words.modes.extractive;
}

/** What stands under a question that was stopped or failed. */
function interrupted({ error, state }, again) {
  if (state === "asking") return [];
  const failed = state === "failed";
  const said = failed ? wordsOf(error) : words.stopped;
  const head = failed ? [element("p", { class: "verdict" }, icon("fault"), words.failed)] : [];
  const retry = button({ class: "plain again" }, again, words.again);
  return [element("div", { class: "broken" }, ...head, element("p", {}, said), retry)];
}

/** The cited articles in the order of their first citation, each once. */
function byArticle(citations) {
  const articles = new Map();
  for (const citation of citations) {
    const { article_id: id } = citation;
    articles.set(id, [...(articles.get(id) || []), citation]);
  }
  return [...articles.values()];
}

function sources(answer) {
  const entries = byArticle(answer.citations).map((cited) =>
    element("li", {}, source(cited, answer)),
  );
  return element(
    "section",
    { class: "sources" },
    element("h3", {}, words.sources),
    element("ol", {}, ...entries),
  );
}

/** One cited article; a quote that already stands in the answer isn't said twice. */
function source(cited, answer) {
  const [{ title, date, source: paper }] = cited;
  const numbers = cited.map((citation) => marker(citation, openCitation));
  const head = element(
    "p",
    { class: "cited" },
    ...numbers,
    " ",
    element("cite", { lang: tongue(title) }, title || paper),
    " ",
    element("span", { class: "facts" }, joined(date, paper)),
  );
  const quotes = cited.filter((citation) => !standsIn(citation, answer.answer));
  return element(
    "div",
    { class: "source" },
    head,
    ...quotes.map((citation) =>
      element(
        "blockquote",
        {},
        element("p", { lang: tongue(citation.quote) }, citation.quote),
        gloss(citation),
      ),
    ),
  );
}

/** What a refusal can offer: the articles that came closest, at most three. */
function nearest({ passages, reason }) {
  if (reason === "off_topic" || reason === "too_vague") return [];
  const articles = new Map(passages.map((passage) => [passage.article_id, passage]));
  if (!articles.size) return [];
  const buttons = [...articles.values()].slice(0, 3).map(articleButton);
  return [
    element(
      "section",
      { class: "nearest" },
      element("h3", {}, words.nearest),
      element("ul", {}, ...buttons.map((entry) => element("li", {}, entry))),
    ),
  ];
}

/** The answer with its sources, as it is copied. */
export function copied({ question, answer, citations }) {
  const cited = citations.map(
    ({ n, title, date, source: paper, quote }) =>
      `[${n}] ${joined(title, date, paper)}\n“${quote}”`,
  );
  return [question, answer, ...cited].join("\n\n");
}
