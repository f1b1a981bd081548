/* From any rate to that of the model, as emopipe stores recordings: 16 kHz, rounded to 16 bits. */

export const RATE = 16_000; // Hz

// The filter of emopipe's own resampler, soxr's "HQ", as it was found to be: a sinc under a Kaiser window.
const CUTOFF = 0.956872; // where half passes, as a share of half the lower rate
const REACH = 96.8337; // samples of the lower rate on either side
const BETA = 13.04015; // of the window

/** Resamples a signal that comes piece by piece, by a windowed sinc; no delay, and silence around the signal. */
export class Resampler {
  /** @param {number} rate of the signal, in Hz */
  constructor(rate) {
    const divisor = gcd(rate, RATE);
    this.up = RATE / divisor;
    this.down = rate / divisor;
    const scale = Math.min(1, RATE / rate);
    this.cutoff = scale * CUTOFF;
    this.reach = REACH / scale;
    this.half = Math.ceil(this.reach);
    this.phases = new Map();
    this.held = new Float32Array(this.half); // the silence before, then samples that are still needed
    this.first = -this.half; // number of the first of them
    this.made = 0; // samples that were given back
    this.taken = 0;
  }

  /** Return what follows of the resampled signal. */
  push(samples) {
    if (this.up === this.down) return samples;
    this.taken += samples.length;
    return this.#advance(samples, Infinity);
  }

  /** Return the end of the resampled signal. */
  finish() {
    const total = Math.round(this.taken * this.up / this.down);
    return this.#advance(new Float32Array(this.half + 1), total);
  }

  #advance(samples, total) {
    const all = joined([this.held, samples]);
    const end = this.first + all.length;
    const last = Math.floor((end - 1 - this.half) * this.up / this.down); // whose samples are all here
    const found = new Float32Array(Math.max(0, Math.min(last + 1, total) - this.made));
    for (let i = 0; i < found.length; i++) {
      const place = (this.made + i) * this.down;
      const phase = place % this.up, whole = (place - phase) / this.up;
      const weights = this.#weights(phase), begin = whole - this.half + 1 - this.first;
      let sum = 0;
      for (let k = 0; k < weights.length; k++) sum += weights[k] * all[begin + k];
      found[i] = sum;
    }
    this.made += found.length;
    const needed = Math.floor(this.made * this.down / this.up) - this.half + 1;
    this.held = all.slice(Math.max(0, needed - this.first));
    this.first += Math.max(0, needed - this.first);
    return found;
  }

  /** Return the weights of the samples around a place between two of them, phase / up behind the earlier one. */
  #weights(phase) {
    let weights = this.phases.get(phase);
    if (!weights) {
      weights = new Float64Array(2 * this.half);
      let sum = 0;
      for (let k = 0; k < weights.length; k++) {
        const distance = k - this.half + 1 - phase / this.up, x = distance / this.reach;
        const window = Math.abs(x) < 1 ? bessel(BETA * Math.sqrt(1 - x * x)) : 0;
        sum += weights[k] = sinc(this.cutoff * distance) * window;
      }
      for (let k = 0; k < weights.length; k++) weights[k] /= sum;
      this.phases.set(phase, weights);
    }
    return weights;
  }
}

/** Return samples rounded and clipped to 16 bits, halves to the even number, in floats of full scale 1. */
export function rounded(samples) {
  return samples.map((sample) => {
    const exact = sample * 32768;
    const up = Math.round(exact);
    const value = up - exact === 0.5 && up % 2 ? up - 1 : up;
    return Math.max(-32768, Math.min(32767, value)) / 32768;
  });
}

/** Return arrays of floats one behind the other. */
export function joined(parts) {
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

const gcd = (a, b) => b ? gcd(b, a % b) : a;
const sinc = (x) => x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);

/** The modified Bessel function of the first kind and order 0, by its series. */
function bessel(x) {
  let sum = 1, term = 1;
  for (let k = 1; term > sum * 1e-16; k++) {
    term *= (x / 2 / k) ** 2;
    sum += term;
  }
  return sum;
}
