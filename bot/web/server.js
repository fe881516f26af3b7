// Asking the server: requests with the key, problems in words, a question as a stream.

import { events } from "./events.js";
import { askKey, key } from "./key.js";
import { words } from "./language.js";

/** What went wrong, as problem details have it. */
export class Problem extends Error {
  constructor({ type = "internal", detail, title, status = 0 }, waitS = 0) {
    super(detail || title || "");
    this.slug = String(type).split(":").pop();
    this.status = status;
    this.waitS = waitS;
  }

  /** What to tell the person: in their language where we have it, else the server's words. */
  get words() {
    const known = words.problems[this.status === 429 ? "too-many" : this.slug];
    const said = known || this.message || words.problems.internal;
    return this.waitS ? `${said} ${words.wait(this.waitS)}` : said;
  }
}

/** What to tell of anything that was thrown; what isn't a Problem is a fault of the page. */
export function wordsOf(error) {
  if (error instanceof Problem) return error.words;
  console.error(error);
  return words.problems.internal;
}

/**
 * Fetches; asks the person for a key when the server wants one, unless `quiet`.
 *
 * Throws Problem, or an AbortError.
 */
export async function request(path, { quiet = false, ...options } = {}) {
  let used = key();
  for (;;) {
    const response = await reach(path, { ...options, headers: headers(options.headers, used) });
    if (response.ok) return response;
    const problem = await problemOf(response);
    if (response.status !== 401 || quiet) throw problem;
    used = await anotherKey(used);
    if (!used) throw problem;
  }
}

/** A key that hasn't been tried: another request may have asked the person for it meanwhile. */
async function anotherKey(used) {
  if (key() && key() !== used) return key();
  return askKey(used ? "keyAgain" : "keyRead");
}

export function headers(given, used) {
  const language = { "Accept-Language": document.documentElement.lang };
  return { ...language, ...given, ...(used && { Authorization: `Bearer ${bytes(used)}` }) };
}

/** A text as headers carry it: a character for each byte of its UTF-8. */
function bytes(text) {
  return String.fromCharCode(...new TextEncoder().encode(text));
}

async function reach(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({ type: "network" });
  }
}

async function problemOf(response) {
  const body = await response.json().catch(() => ({}));
  const waitS = Number.parseInt(response.headers.get("Retry-After") ?? "", 10) || 0;
  return new Problem({ ...body, status: response.status }, waitS);
}

/** The JSON of a GET. */
export async function get(path, parameters = {}, options = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value);
  const query = given.length ? `?${new URLSearchParams(given)}` : "";
  return (await request(path + query, options)).json();
}

/** Sends JSON. */
export function post(path, body, options = {}) {
  return request(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    ...options,
  });
}

/** Asks; yields [name, data] up to the whole answer. Throws Problem, or an AbortError. */
export async function* ask(question, conversation, signal) {
  const body = { question, conversation_id: conversation, stream: true };
  const response = await post("v1/ask", body, { signal });
  try {
    for await (const [name, data] of events(response.body)) {
      if (name === "error") throw new Problem(data);
      yield [name, data];
      if (name === "answer") return;
    }
  } catch (error) {
    if (error instanceof Problem || error.name === "AbortError") throw error;
  }
  throw new Problem({ type: "broken-off" });
}
