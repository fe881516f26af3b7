// Putting text on the clipboard, also where the page isn't served over https.

import { words } from "./language.js";
import { element, tell } from "./page.js";

export async function copyText(text) {
  const done = (await byClipboard(text)) || bySelection(text);
  tell(done ? words.copied : words.copyFailed);
}

async function byClipboard(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false; // not allowed here, or no https: the old way may still do
  }
}

function bySelection(text) {
  const focused = document.activeElement;
  const field = element("textarea", { class: "unseen", "aria-hidden": "true" });
  field.value = text;
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  focused?.focus();
  return done;
}
