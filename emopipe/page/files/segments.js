/* From a signal to the segments that are answered, and what lies between them: emopipe.recognition.segmentation.

A segment is {start, end, samples, status, reason}: seconds, and samples where it can be answered. */

import { RATE, joined } from "./resampling.js";

export const WINDOW = 512; // samples that the detector of speech takes at a time
const SECONDS = WINDOW / RATE;

/** Return what cuts a signal.
 *
 * @param {string} mode auto | speech | windows
 * @param {object} cutting of page.json, and window: seconds of windows
 * @param {number} longest samples that the model takes at a time
 * @param {object} detector reset() begins a signal, next(samples) gives the probability of speech in a window
 */
export function cutter(mode, cutting, longest, detector) {
  switch (mode) {
    case "windows": return new WindowCutter(cutting, detector, Math.round(cutting.window * RATE));
    case "speech": return new SpeechCutter(cutting, detector, longest);
    case "auto": return new WholeOrSpeech(cutting, detector, longest);
    default: throw new Error(`${mode}: no such way to cut`);
  }
}

/** Takes a short signal whole, if there is speech in it, and cuts a long one at silences. */
class WholeOrSpeech {
  constructor(cutting, detector, longest) {
    Object.assign(this, { cutting, detector, longest, held: [], count: 0, long: null });
  }

  async push(samples) {
    if (this.long) return this.long.push(samples);
    this.held.push(samples);
    this.count += samples.length;
    if (this.count <= this.longest) return [];
    this.long = new SpeechCutter(this.cutting, this.detector, this.longest);
    return this.long.push(joined(this.held));
  }

  async finish() {
    if (this.long) return this.long.finish();
    const samples = joined(this.held), end = samples.length / RATE;
    const none = (status, reason) => [{ start: 0, end, samples: null, status, reason }];
    if (samples.length < this.cutting.min_samples) {
      const few = `${samples.length} samples at ${RATE} Hz, fewer than ${this.cutting.min_samples}`;
      return none("too_short", `too short: ${few}`);
    }
    if (samples.every((sample) => sample === 0)) return none("no_speech", "digital silence");
    const needed = Math.min(this.cutting.min_speech, end / 2); // of a word alone there may be no more
    let found = 0;
    this.detector.reset();
    for (let at = 0; at < samples.length && found < needed; at += WINDOW) {
      found += SECONDS * (await this.detector.next(samples.subarray(at, at + WINDOW)) >= this.cutting.threshold);
    }
    if (found < needed) return none("no_speech", `${found.toPrecision(2)} s of speech found`);
    return [{ start: 0, end, samples, status: "ok", reason: "" }];
  }
}

/** Gives the detector a signal window by window; subclasses take note of what it says. */
class Cutter {
  constructor(cutting, detector) {
    Object.assign(this, { cutting, detector, buffer: new Float32Array(0), first: 0, processed: 0, total: 0 });
    detector.reset();
  }

  /** Take samples and return the segments that ended with them. */
  async push(samples) {
    this.buffer = joined([this.buffer, samples]);
    this.total += samples.length;
    const found = [];
    while (this.total - this.processed >= WINDOW) found.push(...await this.process());
    return found;
  }

  /** Return the segments that end with the signal. */
  async finish() {
    const found = this.total > this.processed ? await this.process() : [];
    return [...found, ...this.rest()];
  }

  async process() {
    const probability = await this.detector.next(this.samples(this.processed, this.processed + WINDOW));
    this.processed += WINDOW;
    return this.step(probability);
  }

  samples(start, end) {
    return this.buffer.subarray(start - this.first, end - this.first);
  }

  /** Drop the samples before one that nobody will ask for. */
  forget(before) {
    if (before <= this.first) return;
    this.buffer = this.buffer.slice(before - this.first);
    this.first = before;
  }

  segment(start, end, status = "ok", reason = "") {
    const samples = status === "ok" ? this.samples(start, end).slice() : null;
    return { start: start / RATE, end: end / RATE, samples, status, reason };
  }

  tooLittle(found) {
    return `${found.toFixed(2)} s of speech, less than ${this.cutting.min_speech} s`;
  }
}

class SpeechCutter extends Cutter {
  constructor(cutting, detector, longest) {
    super(cutting, detector);
    this.longest = longest;
    this.low = Math.max(cutting.threshold - cutting.hysteresis, cutting.least);
    this.silence = Math.round(cutting.min_silence * RATE);
    this.padding = Math.round(cutting.padding * RATE);
    this.told = 0; // where the next segment begins
    this.begin = null; // where the speech began that goes on
    this.end = null; // where it may have ended: the silence since then is still short
    this.probabilities = []; // of the windows since it began
  }

  step(probability) {
    const at = this.processed - WINDOW, found = [];
    if (this.begin === null) {
      if (probability < this.cutting.threshold) {
        this.forget(Math.max(this.told, this.processed - this.padding));
        return found;
      }
      this.begin = at;
      this.probabilities = [];
      found.push(...this.gap(Math.max(this.told, at - this.padding)));
    }
    this.probabilities.push(probability);
    if (probability >= this.cutting.threshold) this.end = null;
    else if (probability < this.low && this.end === null) this.end = at;
    if (this.end !== null && this.processed - this.end >= this.silence) found.push(this.close(this.end));
    else if (this.processed + WINDOW + this.padding - this.told > this.longest) found.push(this.split());
    return found;
  }

  /** Return the speech that has ended. */
  close(end) {
    const found = (end - this.begin) / RATE;
    const stop = Math.min(end + this.padding, this.processed, this.total);
    const why = found >= this.cutting.min_speech ? [] : ["too_short", this.tooLittle(found)];
    const segment = this.segment(this.told, stop, ...why);
    this.begin = this.end = null;
    this.told = stop;
    this.forget(stop);
    return segment;
  }

  /** Return the beginning of speech that is too long for the model, up to the best place in its latter half. */
  split() {
    if (this.end !== null) return this.close(this.end);
    const count = this.probabilities.length, rest = Math.ceil(this.cutting.min_speech / SECONDS);
    const half = Math.floor(count / 2);
    const latter = this.probabilities.slice(half, Math.max(half + 1, count - rest));
    const place = half + quietest(latter, this.low);
    const cut = this.begin + place * WINDOW;
    const segment = this.segment(this.told, cut);
    this.begin = this.told = cut;
    this.probabilities = this.probabilities.slice(place);
    this.forget(cut);
    return segment;
  }

  gap(end) {
    if (end <= this.told) return [];
    const segment = this.segment(this.told, end, "no_speech", "no speech");
    this.told = end;
    return [segment];
  }

  rest() {
    const found = [];
    if (this.begin !== null) found.push(this.close(Math.min(this.total, this.end === null ? this.processed : this.end)));
    return [...found, ...this.gap(this.total)];
  }
}

/** Return the middle of the longest run below a probability, the first of several; without one the lowest place. */
function quietest(probabilities, low) {
  let best = [];
  let run = [];
  for (let i = 0; i <= probabilities.length; i++) {
    if (i < probabilities.length && probabilities[i] < low) {
      run.push(i);
      continue;
    }
    if (run.length > best.length) best = run;
    run = [];
  }
  return best.length ? best[Math.floor(best.length / 2)] : probabilities.indexOf(Math.min(...probabilities));
}

/** Cuts at equal distances; a window with too little speech gets no answer. The last one may be shorter. */
class WindowCutter extends Cutter {
  constructor(cutting, detector, window) {
    super(cutting, detector);
    Object.assign(this, { window, begin: 0, speech: [] }); // where the windows of the detector begin that held speech
  }

  step(probability) {
    if (probability >= this.cutting.threshold) this.speech.push(this.processed - WINDOW);
    const found = [];
    while (Math.min(this.processed, this.total) >= this.begin + this.window) {
      found.push(this.next(this.begin + this.window));
    }
    return found;
  }

  next(end) {
    const within = this.speech.filter((at) => this.begin <= at + WINDOW / 2 && at + WINDOW / 2 < end);
    const found = SECONDS * within.length;
    const short = end - this.begin < this.cutting.min_speech * RATE;
    const why = found >= this.cutting.min_speech ? [] : [short ? "too_short" : "no_speech", this.tooLittle(found)];
    const segment = this.segment(this.begin, end, ...why);
    this.begin = end;
    this.speech = this.speech.filter((at) => at + WINDOW > end);
    this.forget(Math.min(end, this.processed));
    return segment;
  }

  rest() {
    return this.total > this.begin ? [this.next(this.total)] : [];
  }
}
