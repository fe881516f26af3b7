// The conversation: questions asked one after the other, each a turn, and the box to ask in.

import { examplesShown } from "./examples.js";
import { words } from "./language.js";
import { $, motion, readOut, tell } from "./page.js";
import { ask, wordsOf } from "./server.js";
import { begun, blank, draw, drawText, verdict } from "./turn.js";

const SCROLLING = new Set(["PageUp", "PageDown", "Home", "End", "ArrowUp", "ArrowDown", "Tab"]);

let turns = [];
let conversation = named();
let asking = null; // the AbortController of the question under way
let following = false; // whether the window still goes along with the answer

/** A new conversation's id; also where `crypto.randomUUID` is missing, without https. */
function named() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Asks a question as a new turn, unless one is under way. */
export function put(question) {
  if (asking || !question) return;
  const turn = begun(question);
  turns.push(turn);
  $("turns").append(turn.node);
  begin();
  run(turn);
}

/** Shows the page as one that has a conversation, or as a fresh one. */
function begin() {
  document.body.classList.toggle("begun", turns.length > 0);
  $("fresh").hidden = !turns.length;
  $("question").placeholder = turns.length ? words.next : words.placeholder;
  examplesShown(!turns.length);
}

async function run(turn) {
  const mine = new AbortController();
  asking = mine;
  Object.assign(turn, blank());
  draw(turn);
  setBusy(true);
  follow(turn, true);
  try {
    for await (const [name, data] of ask(turn.question, conversation, mine.signal)) {
      take(turn, name, data);
      if (following) follow(turn);
    }
    turn.state = "answered";
  } catch (error) {
    turn.state = error.name === "AbortError" ? "stopped" : "failed";
    turn.error = error;
  }
  if (asking !== mine) return; // a new conversation was begun meanwhile
  asking = null;
  setBusy(false);
  redraw(turn);
  announce(turn);
  if (following) follow(turn);
}

/** One event of the stream. */
function take(turn, name, data) {
  if (name === "passages") tell(words.found(data.passages.length));
  if (name === "token") {
    turn.text += data.text;
    readOut(data.text);
  }
  if (name === "citation") turn.citations.set(data.n, data);
  if (name === "answer") {
    if (turn.text !== data.answer) readOut(data.answer_plain);
    turn.answer = data;
    turn.text = data.answer;
    turn.citations = new Map(data.citations.map((citation) => [citation.n, citation]));
  }
  drawText(turn);
}

function redraw(turn) {
  draw(turn, () => {
    if (asking) return;
    turn.heading.focus({ preventScroll: true });
    run(turn);
  });
}

function announce(turn) {
  const { answer, state, error } = turn;
  if (state === "failed") {
    tell(words.failed);
    readOut(wordsOf(error));
  } else if (state === "stopped") tell(words.stopped);
  else tell(answer.abstained ? verdict(answer) : words.done(answer.citations.length));
}

function setBusy(busy) {
  $("send").textContent = busy ? words.stop : words.send;
  $("send").classList.toggle("plain", busy);
  if (busy) {
    $("heard").replaceChildren();
    tell(words.searching);
  }
}

/** Keeps as much of the turn in sight as fits above the box, its question above all. */
function follow(turn, start = false) {
  if (start) following = true;
  const { top, bottom } = turn.node.getBoundingClientRect();
  const hidden = bottom - $("ask").getBoundingClientRect().top + 16;
  const room = top - Math.max(0, $("masthead").getBoundingClientRect().bottom) - 8;
  const by = Math.min(hidden, room);
  if (by > 0) window.scrollBy({ top: by, behavior: start ? motion() : "auto" });
}

/** Leaves the scrolling to the person. */
function stay() {
  following = false;
}

/** Forgets the turns; the next question begins a conversation of its own. */
function startFresh() {
  asking?.abort();
  asking = null;
  turns = [];
  conversation = named();
  $("turns").replaceChildren();
  $("heard").replaceChildren();
  setBusy(false);
  tell("");
  begin();
  $("question").value = "";
  $("question").focus();
}

/** Says everything in the page's language again. */
export function relabelTalk() {
  begin();
  $("send").textContent = asking ? words.stop : words.send;
  if (!asking) tell("");
  turns.forEach(redraw);
}

/** Must be called once. */
export function beginTalk() {
  const field = $("question");
  $("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    if (asking) {
      asking.abort();
      return;
    }
    const question = field.value.trim();
    field.value = "";
    put(question);
  });
  field.addEventListener("keydown", (event) => {
    // Enter that ends a pinyin composition must not send; 229 is how Safari tells of one.
    const composing = event.isComposing || event.keyCode === 229;
    if (event.key !== "Enter" || event.shiftKey || composing) return;
    event.preventDefault();
    if (!asking) $("ask").requestSubmit();
  });
  document.addEventListener("wheel", stay, { passive: true });
  document.addEventListener("touchmove", stay, { passive: true });
  document.addEventListener("keydown", ({ key }) => {
    if (SCROLLING.has(key)) stay();
  });
  $("fresh").addEventListener("click", startFresh);
}
