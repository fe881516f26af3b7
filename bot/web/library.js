// The list of articles: searched and dated by the server, a page at a time.

import { words } from "./language.js";
import { $, element } from "./page.js";
import { show } from "./panel.js";
import { articleButton } from "./reader.js";
import { get, wordsOf } from "./server.js";

const PAGE = "30";
const PAUSE_MS = 250; // how long after the last letter the search begins

let shown = [];
let cursor = null; // where the next page begins, if there is one
let fault = null;
let looking = null; // the AbortController of the search under way
let pause = 0;

/** Fetches the first page of what the form asks for. */
export async function look() {
  looking?.abort();
  looking = new AbortController();
  const { signal } = looking;
  await fetchPage({}, signal, (page) => {
    shown = page;
  });
}

async function lookFurther() {
  const behind = shown.length;
  await fetchPage({ cursor }, looking.signal, (page) => {
    shown.push(...page);
  });
  $("articles").children[behind]?.querySelector("button").focus();
}

async function fetchPage(place, signal, keep) {
  $("more").disabled = true;
  try {
    const page = await get("v1/articles", { ...asked(), ...place, limit: PAGE }, { signal });
    keep(page.articles);
    cursor = page.next_cursor;
    fault = null;
  } catch (error) {
    if (error.name === "AbortError") return;
    fault = error;
  }
  drawList();
}

function asked() {
  const [since, until] = [$("since").value, $("until").value];
  return { q: $("filter").value.trim(), since, until };
}

export function drawList() {
  $("articles").replaceChildren(
    ...shown.map((article) => element("li", {}, articleButton(article))),
  );
  $("count").textContent = remark();
  $("more").hidden = !cursor || fault !== null;
  $("more").disabled = false;
}

function remark() {
  if (fault) return wordsOf(fault);
  if (shown.length) return cursor ? words.shownSome(shown.length) : words.shown(shown.length);
  return Object.values(asked()).some(Boolean) ? words.nothing : words.unindexed;
}

/** Must be called once. */
export function beginLibrary() {
  const later = () => {
    clearTimeout(pause);
    pause = setTimeout(look, PAUSE_MS);
  };
  $("search").addEventListener("input", later);
  $("search").addEventListener("submit", (event) => event.preventDefault());
  $("more").addEventListener("click", lookFurther);
  $("all").addEventListener("click", () => {
    show("list");
    $("list-title").focus();
  });
}
