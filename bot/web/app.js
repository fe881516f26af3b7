// The chat page, put together: asks questions, shows the answers, opens each citation in its
// article, lists the articles and takes new ones.

import { fetchExamples } from "./examples.js";
import { beginKey, key, keyChanged } from "./key.js";
import { label, language, onLanguage, switchLanguage } from "./language.js";
import { beginLibrary, drawList, look } from "./library.js";
import { $ } from "./page.js";
import { beginPanel } from "./panel.js";
import { beginTalk, put, relabelTalk } from "./talk.js";
import { beginUpload, drawUpload } from "./upload.js";

const OTHER = { en: ["中文", "zh-CN"], zh: ["English", "en"] };

beginKey();
beginPanel();
beginTalk();
beginLibrary();
beginUpload();

onLanguage(() => {
  label();
  [$("language").textContent, $("language").lang] = OTHER[language];
  relabelTalk();
  drawUpload();
  fetchExamples(put);
});
$("language").addEventListener("click", () => {
  switchLanguage();
  drawList();
});
keyChanged.addEventListener("change", () => {
  if (!key()) return;
  look(); // what was closed may be open now
  fetchExamples(put);
});
look();
