// Questions to begin with, which the server makes from what is indexed.

import { language } from "./language.js";
import { $, button, element } from "./page.js";
import { get } from "./server.js";

let questions = [];
let wanted = true; // whether the page is fresh enough for them

/** Fetches the questions in the page's language; a server without any simply offers none. */
export async function fetchExamples(put) {
  const asked = language;
  let found = [];
  try {
    ({ questions: found } = await get("v1/examples", { lang: asked }, { quiet: true }));
  } catch {
    // The page does without: whatever is wrong will show when a question is asked.
  }
  if (asked !== language) return; // switched meanwhile
  questions = found;
  const entries = questions.slice(0, 4).map((question) =>
    element(
      "li",
      {},
      button({ class: "example" }, () => put(question), question),
    ),
  );
  $("examples-list").replaceChildren(...entries);
  examplesShown(wanted);
}

export function examplesShown(shown) {
  wanted = shown;
  $("examples").hidden = !shown || !questions.length;
}
