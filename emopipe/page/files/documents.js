/* Answers as the files that `emopipe predict` writes. */

const STEPS = 10_000; // of time per second in a TextGrid
const TIERS = ["emotion", "confidence", "valence", "arousal", "dominance", "spread", "status", "reason"];

/** Return rows as CSV; what a spreadsheet would take for a formula is behind an apostrophe. */
export function csv(name, rows) {
  const columns = ["file", ...Object.keys(rows[0])];
  const lines = rows.map((row) => columns.map((column) => cell(column === "file" ? name : row[column])));
  return [columns, ...lines].map((line) => `${line.join(",")}\n`).join("");
}

function cell(value) {
  let text = `${value ?? ""}`;
  if (typeof value === "string" && /^'*[=+\-@\t\r\n\0]/.test(text)) text = `'${text}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Return rows as a TextGrid of Praat: a tier of intervals for every kind of value. */
export function textGrid(rows, seconds) {
  const end = Math.max(1, Math.round(seconds * STEPS));
  const tiers = TIERS.filter((tier) => tier in rows[0]);
  const lines = [
    'File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", `xmax = ${end / STEPS}`, "tiers? <exists>",
    `size = ${tiers.length}`, "item []:",
  ];
  tiers.forEach((tier, i) => {
    const intervals = filled(rows, tier, end);
    lines.push(
      `    item [${i + 1}]:`, '        class = "IntervalTier"', `        name = "${tier}"`, "        xmin = 0",
      `        xmax = ${end / STEPS}`, `        intervals: size = ${intervals.length}`,
    );
    intervals.forEach(([from, to, text], j) => lines.push(
      `        intervals [${j + 1}]:`, `            xmin = ${from / STEPS}`, `            xmax = ${to / STEPS}`,
      `            text = "${text.replaceAll('"', '""')}"`,
    ));
  });
  return `${lines.join("\n")}\n`;
}

/** Return [from, to, text] from 0 to the end, without gaps; what has no text is empty. */
function filled(rows, tier, end) {
  const found = [];
  let at = 0;
  for (const row of rows) {
    const from = Math.max(at, Math.round(row.start * STEPS)), to = Math.min(end, Math.round((row.end ?? Infinity) * STEPS));
    const value = row[tier], text = typeof value === "number" ? value.toFixed(3) : value ?? "";
    if (text === "" || to <= from) continue;
    if (from > at) found.push([at, from, ""]);
    found.push([from, to, text]);
    at = to;
  }
  if (at < end) found.push([at, end, ""]);
  return found;
}
