// Which language the page speaks, and who must be told when that changes.

import { remembered } from "./page.js";
import { WORDS } from "./words.js";

const KEPT = "wenbao.language";
const listeners = [];

export let language = first();
export let words = WORDS[language];

function first() {
  const chosen = remembered("localStorage", KEPT);
  if (chosen === "en" || chosen === "zh") return chosen;
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

/** Calls `listener` now and whenever the language changes. */
export function onLanguage(listener) {
  listeners.push(listener);
  listener();
}

/** Speaks the other language, and remembers it. */
export function switchLanguage() {
  language = language === "zh" ? "en" : "zh";
  words = WORDS[language];
  remembered("localStorage", KEPT, language);
  for (const listener of listeners) listener();
}

/** The words of the page itself: its texts, and the names of what has no text. */
export function label() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const place of document.querySelectorAll("[data-words]")) {
    place.textContent = words[place.dataset.words];
  }
  for (const place of document.querySelectorAll("[data-label]")) {
    place.setAttribute("aria-label", words[place.dataset.label]);
    place.title = words[place.dataset.label];
  }
  for (const place of document.querySelectorAll("[data-placeholder]")) {
    place.placeholder = words[place.dataset.placeholder];
  }
}
