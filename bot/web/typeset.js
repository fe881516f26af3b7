// An answer's text set as a newspaper sets it: frame lines, quotations with glosses, prose.
//
// Each line of the text is one block. What kind it is shows in the line itself, so that it can be
// set while the rest is still on its way; a block that didn't change is left where it is, and
// with it the focus of whoever is on one of its markers.

import { language, words } from "./language.js";
import { button, element, tongue } from "./page.js";
import { GLOSS, TRANSLATION } from "./words.js";

const MARKERS = /(\[\d+\])/;
const QUOTED = /^[“「『].*[”」』][。.]?$/s;
const ENDING = /^(.*?)(\S{0,2} ?)$/su;
const FRAME = /[:：]$/;

/**
 * Sets the text into `body`, a block a line.
 *
 * `citations` maps numbers to citations; `open(citation, button)` is called for a pressed marker.
 */
export function typeset(body, text, citations, open) {
  const texts = text.split("\n").filter((line) => line.trim());
  texts.forEach((line, i) => {
    const cited = citedIn(line, citations);
    const under = cited.map((citation) => `${citation.n} ${citation.gloss ?? ""}`);
    const looks = [language, line, ...under].join("\n");
    const old = body.children[i];
    if (old?.looks === looks) return;
    const block = set(line, cited, open);
    block.looks = looks;
    if (old) old.replaceWith(block);
    else body.append(block);
  });
  while (body.children.length > texts.length) body.lastElementChild.remove();
}

/** Whether a citation's quote stands in the text as a quotation of its own. */
export function standsIn(citation, text) {
  return text.split("\n").some((line) => isQuotation(line, citation));
}

function citedIn(line, citations) {
  const numbers = new Set((line.match(/\[\d+\]/g) || []).map((mark) => Number(mark.slice(1, -1))));
  return [...numbers].map((n) => citations.get(n)).filter(Boolean);
}

function set(line, cited, open) {
  const bare = unmarked(line);
  if (!cited.length && FRAME.test(bare)) return element("p", { class: "frame" }, line);
  const pieces = marked(line, cited, open);
  const quoted = cited.find((citation) => isQuotation(line, citation));
  if (!quoted && !QUOTED.test(bare)) return element("p", { class: "prose" }, ...pieces);
  const quotation = element("p", { lang: tongue(bare) }, ...pieces);
  return element("blockquote", {}, quotation, gloss(quoted));
}

function unmarked(line) {
  return line.replace(/\s*\[\d+\]/g, "").trim();
}

function isQuotation(line, citation) {
  const bare = unmarked(line);
  const quote = squeezed(citation.quote);
  return line.includes(`[${citation.n}]`) && [quote, `“${quote}”`, `「${quote}」`].includes(bare);
}

function squeezed(text) {
  return text.trim().replace(/\s+/g, " ");
}

/** The line with every marker [n] that has a citation as a button, never alone on a new line. */
function marked(line, cited, open) {
  const pieces = [];
  for (const piece of line.split(MARKERS)) {
    const citation = cited.find(({ n }) => piece === `[${n}]`);
    if (citation) {
      const [, before, last] = ENDING.exec(pieces.pop() ?? "");
      pieces.push(before, element("span", { class: "tied" }, last, marker(citation, open)));
    } else {
      pieces.push(piece);
    }
  }
  return pieces;
}

export function marker(citation, open) {
  const name = words.source(citation.n, citation.title);
  const shape = {
    class: "marker",
    "aria-label": name,
    title: citation.title,
    "data-n": citation.n,
  };
  return button(shape, (pressed) => open(citation, pressed), String(citation.n));
}

/** What a quote in another language holds, said to be no quote. */
export function gloss(citation) {
  if (!citation?.gloss) return "";
  const written = tongue(citation.gloss);
  const reads = written === "zh-CN" ? "zh" : "en";
  const by = citation.translated_by;
  const label = by ? TRANSLATION[reads].replace("{}", () => by) : GLOSS[reads];
  return element(
    "p",
    { class: "gloss", lang: written },
    element("span", { class: "label" }, label),
    " ",
    citation.gloss,
  );
}
