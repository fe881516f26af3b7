// The API key: asked for in a dialog, kept for as long as the tab is open.

import { words } from "./language.js";
import { $, remembered } from "./page.js";

const KEPT = "wenbao.key";
let asked = null; // the promise of the dialog, while it is open

export const keyChanged = new EventTarget();

export function key() {
  return remembered("sessionStorage", KEPT) || "";
}

/** Opens the dialog once for all that wait for it; gives the key, or "" if cancelled. */
export function askKey(reason) {
  asked ??= new Promise((resolve) => {
    const dialog = $("key");
    $("key-words").textContent = words[reason];
    dialog.returnValue = "";
    dialog.addEventListener(
      "close",
      () => {
        asked = null;
        const given = dialog.returnValue === "given" ? $("key-value").value.trim() : "";
        $("key-value").value = "";
        if (given) keep(given);
        resolve(given);
      },
      { once: true },
    );
    dialog.showModal();
  });
  return asked;
}

export function forgetKey() {
  keep(null);
}

function keep(value) {
  remembered("sessionStorage", KEPT, value);
  keyChanged.dispatchEvent(new Event("change"));
}

/** Must be called once, before a key is asked for. */
export function beginKey() {
  $("key-form").addEventListener("submit", (event) => {
    event.preventDefault(); // the policy lets no form be sent, not even to its dialog
    $("key").close("given");
  });
  $("key-cancel").addEventListener("click", () => $("key").close(""));
}
