/* The page: a recording or the microphone in, its emotions along time out. */

import { csv, textGrid } from "./documents.js";
import { clock, draw, timeAt } from "./drawing.js";
import { Browser, Service, TokenError } from "./engines.js";
import { joined } from "./resampling.js";
import { Microphone, Peaks, decoded, wav } from "./sound.js";

const $ = (id) => document.getElementById(id);
const NOT_TOLD = "not known";
const NO_ANSWER = { // by status
  abstained: "not certain enough", no_speech: "no speech", too_short: "too short", unreadable: "unreadable",
};

let facts, engine;
let waiting = false; // whether the result is to be drawn anew
let shown = null; // {name, file, samples, rate, seconds, peaks, rows, ended}
let job = null, microphone = null;

start().catch((error) => fail(error));

async function start() {
  facts = await (await fetch("page.json")).json();
  $("question").textContent = facts.description;
  describeModel();
  const local = facts.engine === "browser";
  engine = local ? new Browser(facts) : new Service();
  $("privacy").textContent = local
    ? "The model runs in this browser. What you say stays on this device."
    : `Recordings are sent to ${location.host}, which answers them and keeps nothing.`;
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given && facts.token) {
    engine.token = given;
    history.replaceState(null, "", location.pathname); // it need not be seen, or stay in the history
  }
  $("token-form").hidden = !facts.token || Boolean(given);
  $("least-field").hidden = !facts.labels;
  $("least").addEventListener("input", () => (tellLeast(), render()));
  tellLeast();
  await engine.load((share) => say(`Loading the model: ${Math.round(100 * share)} %.`));
  say("");
  listen();
}

function listen() {
  $("file").disabled = $("record").disabled = false;
  $("file").addEventListener("change", () => {
    if ($("file").files.length) open($("file").files[0]);
    $("file").value = ""; // the same file may be chosen again
  });
  const over = (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", event.type === "dragover");
  };
  for (const type of ["dragover", "dragleave", "drop"]) document.addEventListener(type, over);
  document.addEventListener("drop", (event) => {
    const [file] = event.dataTransfer.files;
    if (file) open(file);
  });
  $("record").addEventListener("click", () => (microphone ? finish() : record()));
  $("segments").addEventListener("change", () => {
    $("window-field").hidden = $("segments").value !== "windows";
    again();
  });
  $("window").addEventListener("change", again);
  $("token-form").addEventListener("submit", (event) => {
    event.preventDefault();
    engine.token = $("token").value.trim();
    again();
  });
  $("player").addEventListener("timeupdate", picture);
  $("picture").addEventListener("click", ({ offsetX }) => {
    if (shown?.ended) play(timeAt($("picture"), offsetX, shown.seconds));
  });
  $("csv").addEventListener("click", () => save("csv", "text/csv", csv(shown.name, shown.rows)));
  $("textgrid").addEventListener("click", () => save("TextGrid", "text/plain", textGrid(shown.rows, shown.seconds)));
  new ResizeObserver(picture).observe($("picture"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", picture);
}

/** Answer a file. */
async function open(file) {
  leave();
  say(`Reading ${file.name}.`);
  const most = facts.max_upload;
  if (most && file.size > most) return fail(new Error(`${file.name}: larger than ${most / 1e6} MB, which is the most here.`));
  let sound = { samples: null, rate: null };
  try {
    sound = await decoded(file);
  } catch (error) {
    if (facts.engine === "browser") return fail(error); // a service may know more kinds, and the picture has no wave
  }
  show(file.name, file, sound);
  return answer();
}

function show(name, file, { samples, rate }) {
  const peaks = new Peaks(rate ?? 100);
  if (samples) peaks.push(samples);
  const seconds = samples ? samples.length / rate : 0;
  shown = { name, file, samples, rate, seconds, peaks, rows: [], ended: true };
  offer(file);
  render();
}

/** Let the player play a file. */
function offer(file) {
  URL.revokeObjectURL($("player").src);
  if (file.size) $("player").src = URL.createObjectURL(file);
  else $("player").removeAttribute("src");
}

async function answer() {
  const own = shown;
  own.rows = [];
  own.answered = false;
  $("problem").textContent = "";
  say("Listening.");
  job = engine.answer(own, way(), (row) => take(own, row), (share) => say(`Listening: ${Math.round(100 * share)} %.`));
  await settle(own);
}

/** Wait until a job is done, and say what came of it. */
async function settle(own) {
  const mine = job;
  try {
    await mine.done;
    own.answered = true;
    $("token-form").hidden = true;
    if (job === mine) say("");
  } catch (error) {
    if (job === mine) fail(error);
  } finally {
    if (job === mine) job = null;
    if (shown === own) render();
  }
}

/** Answer what is there in another way. */
function again() {
  if (!shown?.ended) return;
  job?.stop();
  answer();
}

async function record() {
  leave();
  try {
    const pieces = [];
    let live = null;
    const add = (samples) => {
      live.peaks.push(samples);
      live.seconds += samples.length / live.rate;
      job?.push(samples);
    };
    const own = microphone = await Microphone.open((samples) => {
      pieces.push(samples);
      if (!live) return;
      add(samples);
      picture();
    });
    const { rate } = own, { mode, window } = way();
    live = { name: "microphone", file: null, samples: null, rate, seconds: 0, peaks: new Peaks(rate), rows: [], ended: false, pieces };
    shown = live;
    const streamed = { mode: mode === "auto" ? "speech" : mode, window }; // nobody knows yet how long it will be
    job = engine.open(rate, streamed, (row) => take(live, row));
    pieces.slice().forEach(add); // that came before
    press(true);
    say("Recording.");
    render();
    await settle(live);
    if (microphone === own) await finish(); // the service ended it
  } catch (error) {
    fail(error);
  }
}

async function finish() {
  const own = shown, ending = microphone;
  microphone = null;
  press(false);
  if (job) say("Listening to the end.");
  await ending.stop();
  job?.end();
  own.samples = joined(own.pieces);
  own.ended = true;
  own.file = wav(own.samples, own.rate);
  offer(own.file);
  render();
}

function press(recording) {
  $("record").setAttribute("aria-pressed", recording);
  $("record").textContent = recording ? "Stop" : "Record";
  $("file").disabled = recording;
}

/** Leave what is being answered. */
function leave() {
  job?.stop();
  job = null;
  microphone?.stop();
  microphone = null;
  press(false);
  $("problem").textContent = "";
}

function way() {
  const window = Math.min(Math.max(Number($("window").value) || 3, facts.cutting.min_speech), facts.max_seconds);
  return { mode: $("segments").value, window };
}

function take(own, row) {
  own.rows.push(row);
  if (row.end > own.seconds) own.seconds = row.end; // where this browser does not read the file
  if (own === shown) renderSoon();
}

/** Draw once for all rows that come before the next picture of the screen: the service's come all together. */
function renderSoon() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    render();
  });
}

/** Return a row without its emotion where that is not certain enough. */
function judged(row) {
  const least = Number($("least").value) / 100;
  if (!facts.labels || row.status !== "ok" || row.confidence >= least) return row;
  const reason = `confidence ${row.confidence.toFixed(2)} is below ${least.toFixed(2)}`;
  return { ...row, emotion: null, status: "abstained", reason };
}

function tellLeast() {
  const least = Number($("least").value);
  const share = facts.answered?.[least];
  const known = share === undefined ? "" : `: ${Math.round(100 * share)} % of recordings like those of its dev set are answered`;
  $("least-value").textContent = `${(least / 100).toFixed(2)}${known}`;
}

function render() {
  if (!shown) return;
  const rows = shown.rows.map(judged);
  $("result").hidden = false;
  $("name").textContent = shown.name;
  $("summary").textContent = rows.length || shown.answered ? spoken() : "";
  $("csv").disabled = $("textgrid").disabled = !rows.length || !shown.ended;
  $("player").hidden = !shown.ended;
  const values = facts.labels ? ["Emotion", "Confidence", "All probabilities"] : facts.targets.map(capital);
  const heads = ["Time", ...values, "Note"].map((text) => element("th", { textContent: text, scope: "col" }));
  for (const head of facts.labels ? heads.slice(3) : heads.slice(-1)) head.className = "more"; // there is room for
  $("columns").replaceChildren(...heads);
  $("rows").replaceChildren(...rows.map(line));
  const names = facts.labels ?? facts.targets;
  const swatches = names.map((name, i) => element("li", {}, swatch(i), name));
  $("legend").replaceChildren(...swatches, element("li", {}, swatch(null), "no answer"));
  picture();
}

function line(row) {
  const times = [clock(row.start), row.end === null ? "the end" : clock(row.end)];
  const button = element("button", { type: "button", textContent: times.join("–"), disabled: !shown.ended });
  button.setAttribute("aria-label", `Play ${times.join(" to ")}`);
  button.addEventListener("click", () => play(row.start, row.end));
  const cells = [element("td", {}, button)];
  if (facts.labels) {
    const place = facts.labels.indexOf(row.emotion);
    cells.push(element("td", {}, swatch(place < 0 ? null : place), row.emotion ?? NO_ANSWER[row.status]));
    const sure = row.confidence === null ? [] : [
      element("meter", { min: 0, max: 1, value: row.confidence, title: "confidence" }), ` ${percent(row.confidence)}`,
    ];
    cells.push(element("td", {}, ...sure));
    const chances = facts.labels.map((label) => [label, row[`p_${label}`]]).filter(([, chance]) => chance !== null);
    const all = chances.sort((one, other) => other[1] - one[1]).map(([label, chance]) => `${label} ${percent(chance)}`);
    cells.push(element("td", { className: "more" }, all.join(", ")));
  } else {
    for (const name of facts.targets) cells.push(element("td", {}, row[name] === null ? "–" : row[name].toFixed(2)));
  }
  const told = facts.labels && row.reason === NO_ANSWER[row.status]; // in place of the emotion
  return element("tr", {}, ...cells, element("td", { className: "soft more" }, told ? "" : row.reason));
}

function picture() {
  if (!shown || $("result").hidden) return;
  const at = $("player").currentTime;
  const rows = shown.rows.map(judged).map((row) => {
    const place = facts.labels ? facts.labels.indexOf(row.emotion) : -1;
    const found = facts.labels ? [row.confidence] : facts.targets.map((name) => row[name]);
    const kind = place < 0 ? null : place;
    return { ...row, colour: kind, values: found, abstained: row.status === "abstained", text: row.emotion ?? "" };
  });
  const classes = Boolean(facts.labels);
  draw($("picture"), { ...shown, rows, bars: classes, scale: classes ? [0, 1] : [1, 5], at: shown.ended ? at : null });
  const what = classes ? "the confidence of every answer" : facts.targets.join(", ");
  $("picture").setAttribute("aria-label", `Waveform of ${shown.name}, and ${what} along time; the table tells the same.`);
  [...$("rows").children].forEach((own, i) => {
    own.classList.toggle("current", shown.ended && at > 0 && rows[i]?.start <= at && at < (rows[i].end ?? Infinity));
  });
}

/** Return what was found, in a sentence. */
function spoken() {
  const rows = shown.rows.map(judged), answered = rows.filter((row) => row.status === "ok");
  if (!rows.length) return "There is no sound in it.";
  const rest = rows.length - answered.length, without = rest ? ` ${counted(rest, "segment")} without an answer.` : "";
  if (rows.length === 1 && !answered.length) return `No answer: ${rows[0].reason || NO_ANSWER[rows[0].status]}.`;
  if (!answered.length) return `No answer in ${counted(rows.length, "segment")}.`;
  const length = (row) => (row.end ?? shown.seconds) - row.start;
  const all = answered.reduce((sum, row) => sum + length(row), 0);
  if (!facts.labels) {
    const mean = (name) => answered.reduce((sum, row) => sum + row[name] * length(row), 0) / all;
    return `On a scale from 1 to 5: ${facts.targets.map((name) => `${name} ${mean(name).toFixed(1)}`).join(", ")}.${without}`;
  }
  if (rows.length === 1) return `${capital(rows[0].emotion)}, with a confidence of ${percent(rows[0].confidence)}.`;
  const times = new Map();
  for (const row of answered) times.set(row.emotion, (times.get(row.emotion) ?? 0) + length(row));
  const parts = [...times].sort((one, other) => other[1] - one[1]).map(([name, time]) => `${name} ${time.toFixed(1)} s`);
  return `${capital(parts.join(", "))}.${without}`;
}

function describeModel() {
  const { trained_on: corpora, ...about } = facts.about;
  const told = { "Trained on": corpora.join(", ") || NOT_TOLD, ...about };
  $("facts").replaceChildren(...Object.entries(told).flatMap(([name, text]) => [
    element("dt", { textContent: name }), element("dd", { textContent: text }),
  ]));
  $("limits").replaceChildren(...facts.limits.map((limit) => element("li", { textContent: limit })));
  $("about").hidden = false;
}

let stopping = null;
function play(from, to = null) {
  const player = $("player");
  player.removeEventListener("timeupdate", stopping);
  stopping = () => {
    if (to !== null && player.currentTime >= to) {
      player.pause();
      player.removeEventListener("timeupdate", stopping);
    }
  };
  player.addEventListener("timeupdate", stopping);
  player.currentTime = from;
  player.play();
}

function save(suffix, type, text) {
  const link = element("a", { download: `${shown.name.replace(/\.\w+$/, "")}.${suffix}` });
  link.href = URL.createObjectURL(new Blob([text], { type: `${type};charset=utf-8` }));
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function fail(error) {
  say("");
  if (error.name === "AbortError") return;
  if (error instanceof TokenError) $("token-form").hidden = false;
  $("problem").textContent = error.message;
}

function say(text) {
  if ($("status").textContent !== text) $("status").textContent = text;
}

function element(name, properties, ...content) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...content);
  return made;
}

function swatch(number) {
  const made = element("span", { className: number === null ? "swatch none" : "swatch" });
  if (number !== null) made.style.setProperty("--own", `var(--c${number % 8})`);
  return made;
}

const percent = (share) => `${Math.round(100 * share)} %`;
const capital = (text) => text[0].toUpperCase() + text.slice(1);
const counted = (count, what) => `${count} ${what}${count === 1 ? "" : "s"}`;
