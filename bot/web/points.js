// Offsets: the server counts Unicode code points, JavaScript's strings count UTF-16 units.

/** The UTF-16 offset of a code point; the end of the text for what lies behind it. */
export function unitOf(text, point) {
  let unit = 0;
  for (let seen = 0; seen < point && unit < text.length; seen += 1) {
    unit += text.codePointAt(unit) > 0xffff ? 2 : 1;
  }
  return unit;
}

/**
 * The text cut where its lines end and where a marked range begins and ends.
 *
 * Gives a list of pieces a line, each `{text, marked}`; `start` and `end` are code points.
 */
export function lines(text, start, end) {
  const from = unitOf(text, start);
  const to = unitOf(text, end);
  let at = 0;
  return text.split("\n").map((line) => {
    const [a, b] = [from, to].map((edge) => Math.min(Math.max(edge - at, 0), line.length));
    at += line.length + 1;
    const pieces = [
      [0, a, false],
      [a, b, true],
      [b, line.length, false],
    ];
    return pieces
      .filter(([first, last]) => first < last)
      .map(([first, last, marked]) => ({ text: line.slice(first, last), marked }));
  });
}
