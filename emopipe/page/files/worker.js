/* The model in a thread of its own: signals in, piece by piece, and a row for every segment out. */

import * as ort from "./ort.wasm.bundle.min.mjs";
import { RATE, Resampler, rounded } from "./resampling.js";
import { WINDOW, cutter } from "./segments.js";

const CONTEXT = 64; // samples before a window that the detector is given with it

ort.env.wasm.numThreads = 1; // more take headers that few file hosts send
ort.env.wasm.wasmPaths = { wasm: new URL("./ort-wasm-simd-threaded.wasm", import.meta.url).href };

/** Silero's network, version 6: what it was given before is part of its answer. */
class Detector {
  constructor(session) {
    this.session = session;
    this.rate = new ort.Tensor("int64", BigInt64Array.of(BigInt(RATE)), []);
    this.reset();
  }

  reset() {
    this.state = new ort.Tensor("float32", new Float32Array(2 * 128), [2, 1, 128]);
    this.samples = new Float32Array(CONTEXT + WINDOW);
  }

  async next(window) {
    this.samples.copyWithin(0, WINDOW);
    this.samples.fill(0, CONTEXT);
    this.samples.set(window, CONTEXT);
    const input = new ort.Tensor("float32", this.samples.slice(), [1, this.samples.length]);
    const found = await this.session.run({ input, state: this.state, sr: this.rate });
    this.state = found.stateN;
    return found.output.data[0];
  }
}

let facts, model, detection;
let work = Promise.resolve();
const signals = new Map();

onmessage = ({ data }) => {
  if (data.kind === "stop") {
    signals.delete(data.id); // at once, and what waits for it finds nothing
    return;
  }
  work = work.then(() => STEPS[data.kind](data)).catch((error) => {
    signals.delete(data.id);
    postMessage({ id: data.id, error: error.message });
  });
};

const STEPS = {
  async load(data) {
    ({ facts } = data);
    const options = { executionProviders: ["wasm"] };
    [model, detection] = [
      await ort.InferenceSession.create(data.model, options), await ort.InferenceSession.create("silero_vad.onnx", options),
    ];
    postMessage({ id: data.id, done: true });
  },

  begin({ id, rate, mode, window }) {
    const longest = Math.round(facts.max_seconds * RATE);
    const cutting = { ...facts.cutting, window: Math.min(window, facts.max_seconds), min_samples: facts.min_samples };
    const resampler = new Resampler(rate);
    signals.set(id, { resampler, cutter: cutter(mode, cutting, longest, new Detector(detection)) });
  },

  async samples({ id, samples }) {
    const signal = signals.get(id);
    if (!signal) return;
    const all = rounded(signal.resampler.push(samples));
    for (let at = 0; at < all.length && signals.has(id); at += RATE) {
      await answer(id, await signal.cutter.push(all.subarray(at, at + RATE)));
      postMessage({ id, progress: Math.min(1, (at + RATE) / all.length) });
    }
  },

  async end({ id }) {
    const signal = signals.get(id);
    if (!signal) return;
    await answer(id, await signal.cutter.push(rounded(signal.resampler.finish())));
    await answer(id, await signal.cutter.finish());
    if (signals.delete(id)) postMessage({ id, done: true });
  },
};

/** Post the answers to segments, unless nobody wants them any more. */
async function answer(id, segments) {
  for (const { start, end, samples, status, reason } of segments) {
    const found = samples ? await ask(samples) : null;
    await new Promise((resolve) => setTimeout(resolve)); // a message to stop may have come
    if (!signals.has(id)) return;
    const values = facts.labels
      ? { emotion: found && facts.labels[found.indexOf(Math.max(...found))], confidence: found && Math.max(...found),
        ...named(facts.labels.map((label) => `p_${label}`), found) }
      : named(facts.targets, found);
    postMessage({ id, row: { start, end, ...values, status, reason } });
  }
}

async function ask(samples) {
  const found = await model.run({ samples: new ort.Tensor("float32", samples, [1, samples.length]) });
  return [...(found.probabilities ?? found.vad).data];
}

const named = (names, values) => Object.fromEntries(names.map((name, i) => [name, values && values[i]]));
