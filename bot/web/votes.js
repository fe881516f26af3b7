// Thumbs up and down, for answers that can be told apart and servers that take votes.

import { words } from "./language.js";
import { button, icon, tell } from "./page.js";
import { Problem, post, wordsOf } from "./server.js";

const UNOFFERED = new Set(["key-needed", "no-such-route", "wrong-method"]);

let offered = true;

/** The two buttons of a turn, or none. */
export function thumbs(turn) {
  if (!offered || !turn.answer.answer_id) return [];
  const buttons = ["up", "down"].map((vote) => {
    const shape = {
      class: "act thumb",
      "aria-label": words[vote],
      title: words[vote],
      "data-vote": vote,
    };
    return button(shape, () => cast(turn, vote, buttons), icon(vote));
  });
  press(buttons, turn.vote);
  return buttons;
}

function press(buttons, vote) {
  for (const thumb of buttons)
    thumb.setAttribute("aria-pressed", String(thumb.dataset.vote === vote));
}

async function cast(turn, vote, buttons) {
  const { answer_id: answered } = turn.answer;
  try {
    await post("v1/feedback", { answer_id: answered, vote }, { quiet: true });
    turn.vote = vote;
    press(buttons, vote);
    tell(words.thanks);
  } catch (error) {
    if (error instanceof Problem && UNOFFERED.has(error.slug)) withdraw();
    else tell(wordsOf(error));
  }
}

/** This server takes no votes from here: the buttons would only disappoint. */
function withdraw() {
  offered = false;
  for (const thumb of document.querySelectorAll(".thumb")) thumb.remove();
}
