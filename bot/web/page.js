// Small things that every part of the page needs: elements, icons, what a tab remembers.
//
// Whatever comes from articles, models and people goes through `element`: always as text.

const SVG = "http://www.w3.org/2000/svg";

export const $ = (id) => document.getElementById(id);

/** Makes an element; strings among the children become text nodes, empty values are left out. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children.filter((child) => child !== "" && child != null));
  return made;
}

/** A button that does something when pressed. */
export function button(attributes, act, ...children) {
  const made = element("button", { type: "button", ...attributes }, ...children);
  made.addEventListener("click", () => act(made));
  return made;
}

/** One of the drawings in index.html; never the only name of a button. */
export function icon(name) {
  const drawing = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#icon-${name}`);
  drawing.setAttribute("class", "icon");
  drawing.setAttribute("aria-hidden", "true");
  drawing.append(use);
  return drawing;
}

/** Those of the parts that say something, with a dot between them. */
export function joined(...parts) {
  return parts.filter(Boolean).join(" · ");
}

/** The language tag of a text, so that fonts and voices fit it. */
export function tongue(text) {
  return /[\u3400-\u9fff]/.test(text) ? "zh-CN" : "en";
}

/** What a tab or browser remembers; one that forbids storage remembers nothing. */
export function remembered(storage, name, value) {
  try {
    if (value === null) window[storage].removeItem(name);
    else if (value !== undefined) window[storage].setItem(name, value);
    return window[storage].getItem(name);
  } catch {
    return value ?? null;
  }
}

/** Says in one line how it stands, on the screen and to screen readers. */
export function tell(line) {
  $("status").textContent = line;
}

/** Lets screen readers read a text out, without showing it. */
export function readOut(text) {
  $("heard").append(element("p", { lang: tongue(text) }, text));
}

/** How scrolling moves: at once for those who asked for less motion. */
export function motion() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth";
}
