// The panel beside the conversation: the list of articles, or one of them.
//
// On a wide screen it stands in a column of its own; on a narrow one it is a sheet over the
// conversation, in a modal dialog: the browser keeps the focus in it and closes it on Escape.

import { $, motion } from "./page.js";

const WIDE = matchMedia("(min-width: 60rem), print"); // a modal dialog would hide the answers
let listTop = 0; // how far the list was scrolled when it was left
let origin = null; // the element that the panel's content was opened from

/** Shows the list or the article; `from` gets the focus back when that is closed. */
export function show(name, from) {
  if (from !== undefined) origin = from;
  if (!WIDE.matches && !$("sheet").open) $("sheet").showModal();
  turnTo(name);
}

/** Changes what is in the panel; the list is found again where it was left. */
function turnTo(name) {
  const list = name === "list";
  if (!$("list").hidden) listTop = $("panel").scrollTop;
  $("list").hidden = !list;
  $("reader").hidden = list;
  $("panel").setAttribute("aria-labelledby", list ? "list-title" : "article-title");
  $("panel").scrollTop = list ? listTop : 0;
}

/** Scrolls the panel to a part of it. */
export function reveal(part) {
  const panel = $("panel");
  const { top, height } = part.getBoundingClientRect();
  const { top: edge } = panel.getBoundingClientRect();
  const above = Math.max(panel.clientHeight * 0.4 - height / 2, 80);
  panel.scrollTo({ top: panel.scrollTop + top - edge - above, behavior: motion() });
}

/** Closes the article or the sheet; the focus goes back to where it came from. */
export function close() {
  const open = $("sheet").open;
  if (open) $("sheet").close();
  else back();
}

function back() {
  turnTo("list");
  unmark();
  const target = origin?.isConnected && origin.checkVisibility() ? origin : $("question");
  origin = null;
  target.focus({ preventScroll: true });
  target.scrollIntoView({ block: "nearest" });
}

/** Shows which marker or entry the open article belongs to. */
export function mark(from) {
  unmark();
  from?.setAttribute("aria-current", "true");
}

function unmark() {
  for (const marked of document.querySelectorAll("[aria-current]"))
    marked.removeAttribute("aria-current");
}

/** Puts the panel into its column or its sheet, as wide as the window is. */
function place() {
  if (WIDE.matches) {
    const open = $("sheet").open;
    $("columns").append($("panel"));
    if (open) $("sheet").close();
  } else {
    $("sheet").append($("panel"));
    if (!$("reader").hidden) $("sheet").showModal();
  }
}

/** Must be called once. */
export function beginPanel() {
  place();
  WIDE.addEventListener("change", place);
  $("sheet").addEventListener("close", () => {
    if (!WIDE.matches) back();
  });
  $("sheet").addEventListener("click", (event) => {
    if (event.target === $("sheet")) $("sheet").close(); // beside the sheet
  });
  $("browse").addEventListener("click", () => {
    show("list", $("browse"));
    $("list-title").focus();
  });
  for (const closer of document.querySelectorAll(".close")) closer.addEventListener("click", close);
  document.addEventListener("keydown", (event) => {
    const alone = !$("sheet").open && !$("key").open;
    if (event.key === "Escape" && alone && !$("reader").hidden) close();
  });
}
