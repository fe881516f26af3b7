// Adding pages: files are sent, the job is watched, its report is shown. Only with a key.

import { askKey, forgetKey, key, keyChanged } from "./key.js";
import { words } from "./language.js";
import { look } from "./library.js";
import { $, element, tell } from "./page.js";
import { reveal, show } from "./panel.js";
import { Problem, get, headers, wordsOf } from "./server.js";

const POLL_MS = 700;
const PATIENCE = 40; // polls in a row that may fail, as while the server starts again

let busy = false;

/** Sends the files and follows them until they are articles. */
async function add(files) {
  if (busy || !files.length) return;
  busy = true;
  show("list", $("browse"));
  reveal($("upload"));
  $("report").replaceChildren();
  progress(words.uploads.sending(named(files)));
  try {
    const { job_id: id } = await send(files);
    const job = await watch(id);
    report(job);
    if (job.state === "done") look();
  } catch (error) {
    failed(wordsOf(error));
  }
  busy = false;
  $("progress").hidden = true;
  $("files").value = "";
}

function named(files) {
  const [first] = files;
  return files.length === 1 ? first.name : `${first.name} + ${files.length - 1}`;
}

/** Says how far it is; without a share nobody knows how long it takes. */
function progress(line, share = null) {
  $("progress").hidden = false;
  $("progress-words").textContent = line;
  if (share === null) $("progress-bar").removeAttribute("value");
  else $("progress-bar").value = share;
}

/** Gives the job; asks for another key while the one at hand isn't known. Throws Problem. */
async function send(files) {
  for (;;) {
    const { status, body } = await transfer(files);
    if (status === 202) return body;
    const used = status === 401 ? await askKey("keyAgain") : "";
    if (!used) throw new Problem({ ...body, status });
  }
}

/** Only XMLHttpRequest tells how much of an upload is sent. */
function transfer(files) {
  const form = new FormData();
  for (const file of files) form.append("files", file);
  return new Promise((resolve, reject) => {
    const sending = new XMLHttpRequest();
    sending.open("POST", "v1/articles");
    for (const [name, value] of Object.entries(headers({}, key())))
      sending.setRequestHeader(name, value);
    sending.responseType = "json";
    sending.upload.onprogress = ({ loaded, total }) =>
      progress(words.uploads.sending(named(files)), loaded / total);
    sending.onload = () => resolve({ status: sending.status, body: sending.response ?? {} });
    sending.onerror = () => reject(new Problem({ type: "cut-off" }));
    sending.send(form);
  });
}

/** Looks at a job until it is done or failed. */
async function watch(id) {
  for (let misses = 0; ;) {
    try {
      const job = await get(`v1/jobs/${encodeURIComponent(id)}`);
      misses = 0;
      if (job.state === "done" || job.state === "failed") return job;
      if (job.state === "queued") progress(words.uploads.queued);
      else
        progress(
          words.uploads.reading(job.files_done, job.files),
          job.files ? job.files_done / job.files : null,
        );
    } catch (error) {
      misses += 1;
      if (misses > PATIENCE || !passing(error)) throw error;
    }
    await new Promise((resolve) => {
      setTimeout(resolve, POLL_MS);
    });
  }
}

/** Whether it may be better in a moment. */
function passing(error) {
  return (
    error instanceof Problem && (error.slug === "network" || [429, 503].includes(error.status))
  );
}

function report(job) {
  if (job.state === "failed") {
    failed(job.error || "");
    return;
  }
  const counts = words.uploads.counts(job.report).filter(Boolean);
  const line = counts.length
    ? `${words.uploads.done}: ${counts.join(", ")}`
    : words.uploads.nothing;
  const faults = (job.report.failed ?? []).map(({ file, path, error }) =>
    element("li", { class: "fault" }, words.uploads.file(file ?? path, error)),
  );
  $("report").replaceChildren(
    element("p", {}, line),
    ...(faults.length ? [element("ul", {}, ...faults)] : []),
  );
  tell(line);
}

function failed(why) {
  $("report").replaceChildren(element("p", { class: "fault" }, `${words.uploads.failed} ${why}`));
  tell(words.uploads.failed);
}

/** Who has no key sees nothing of all this but the offer to give one. */
export function drawUpload() {
  const has = key() !== "";
  $("upload").hidden = !has;
  $("use-key").textContent = has ? words.keyForget : words.keyGive;
}

async function onKey() {
  if (!key()) {
    if (!(await askKey("keyWrite"))) return;
    tell(words.keyKept);
    reveal($("upload")); // it stands above the list, the button below it
    $("files").focus({ preventScroll: true });
    return;
  }
  forgetKey();
  tell(words.keyForgotten);
}

/** Must be called once. */
export function beginUpload() {
  $("use-key").addEventListener("click", onKey);
  keyChanged.addEventListener("change", drawUpload);
  $("files").addEventListener("change", () => add([...$("files").files]));
  for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
    document.addEventListener(name, onDrag);
  }
}

/** Files may be dropped anywhere on the page; without a key nothing happens, not even leaving it. */
function onDrag(event) {
  if (!event.dataTransfer?.types.includes("Files")) return;
  event.preventDefault();
  const over = event.type === "dragenter" || event.type === "dragover";
  $("drop").classList.toggle("over", over && key() !== "");
  if (event.type === "drop" && key()) add([...event.dataTransfer.files]);
}
