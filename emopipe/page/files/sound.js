/* Sound that comes from a file or a microphone, at the rate that it has there. */

const OTHERWISE = 48_000; // Hz; what is decoded to where a file does not tell its rate: Opus has no other

/** Return the samples of a file, the mean of its channels, and their rate.
 *
 * @param {Blob} file
 * @returns {Promise<{samples: Float32Array, rate: number}>}
 * @throws {Error} if this browser cannot read it
 */
export async function decoded(file) {
  const bytes = await file.arrayBuffer();
  const rate = rateOf(new DataView(bytes)) ?? OTHERWISE; // or the browser would resample, each in its own way
  let sound;
  try {
    sound = await new OfflineAudioContext(1, 1, rate).decodeAudioData(bytes);
  } catch {
    throw new Error(`${file.name}: this browser reads no sound from it; WAV, FLAC, MP3 or Ogg may do.`);
  }
  const samples = sound.getChannelData(0).slice();
  for (let channel = 1; channel < sound.numberOfChannels; channel++) {
    const other = sound.getChannelData(channel);
    for (let i = 0; i < samples.length; i++) samples[i] += other[i];
  }
  if (sound.numberOfChannels > 1) for (let i = 0; i < samples.length; i++) samples[i] /= sound.numberOfChannels;
  return { samples, rate };
}

/** Return the rate that the header of a file tells, in Hz; undefined of kinds that are not known here. */
export function rateOf(bytes) {
  const rate = kindOf(bytes);
  return rate >= 3000 && rate <= 384_000 ? rate : undefined; // that a browser takes
}

function kindOf(bytes) {
  if (bytes.byteLength < 64) return undefined;
  const text = (at, length) => String.fromCharCode(...new Uint8Array(bytes.buffer, at, length));
  if (text(0, 4) === "RIFF" && text(8, 4) === "WAVE") {
    for (let at = 12; at + 16 <= bytes.byteLength; at += 8 + bytes.getUint32(at + 4, true) + bytes.getUint32(at + 4, true) % 2) {
      if (text(at, 4) === "fmt ") return bytes.getUint32(at + 12, true);
    }
    return undefined;
  }
  if (text(0, 4) === "fLaC") return bytes.getUint32(18) >> 12;
  if (text(0, 4) === "OggS") {
    const first = 27 + bytes.getUint8(26); // behind the table of the page's segments
    return text(first, 7) === "\x01vorbis" ? bytes.getUint32(first + 12, true) : undefined;
  }
  let at = 0;
  if (text(0, 3) === "ID3") at = 10 + [6, 7, 8, 9].reduce((size, i) => size << 7 | bytes.getUint8(i), 0);
  if (at + 4 > bytes.byteLength || bytes.getUint16(at) >> 5 !== 0x7ff) return undefined;
  const version = bytes.getUint8(at + 1) >> 3 & 3, index = bytes.getUint8(at + 2) >> 2 & 3;
  return [44_100, 48_000, 32_000][index] / [4, NaN, 2, 1][version]; // MPEG 2.5, none, 2 and 1
}

/** Records until it is stopped. */
export class Microphone {
  /** Ask for the microphone and begin.
   *
   * @param {(samples: Float32Array) => void} take is given every piece
   * @returns {Promise<Microphone>}
   * @throws {Error} if there is none, or it may not be used
   */
  static async open(take) {
    if (!navigator.mediaDevices) throw new Error("A browser lends the microphone to pages over https or on this machine alone.");
    let stream;
    try {
      // what improves a voice for others to understand would change how it sounds
      const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
      stream = await navigator.mediaDevices.getUserMedia({ audio: plain });
    } catch (error) {
      const refused = error.name === "NotAllowedError";
      throw new Error(refused ? "The microphone may not be used; allow it in the browser's settings of this page."
        : `No microphone: ${error.message}`);
    }
    const context = new AudioContext();
    await context.audioWorklet.addModule("microphone.js");
    const node = new AudioWorkletNode(context, "pieces", { channelCount: 1, channelCountMode: "explicit" });
    context.createMediaStreamSource(stream).connect(node).connect(context.destination); // it is silent there
    return new Microphone(context, stream, node, take);
  }

  constructor(context, stream, node, take) {
    Object.assign(this, { context, stream, node, rate: context.sampleRate });
    this.ended = new Promise((resolve) => {
      node.port.onmessage = ({ data }) => data ? take(data) : resolve();
    });
  }

  /** End the recording; what was recorded has been given when this is done. */
  async stop() {
    this.node.port.postMessage("end");
    await this.ended;
    for (const track of this.stream.getTracks()) track.stop();
    await this.context.close();
  }
}

/** The lowest and the highest sample of every hundredth of a second: what a picture takes. */
export class Peaks {
  constructor(rate) {
    Object.assign(this, { step: rate / 100, low: [], high: [], count: 0 });
  }

  push(samples) {
    for (const sample of samples) {
      const part = Math.floor(this.count++ / this.step);
      this.low[part] = Math.min(this.low[part] ?? sample, sample);
      this.high[part] = Math.max(this.high[part] ?? sample, sample);
    }
  }
}

/** Return samples as a WAV file of 16 bits, which every browser plays. */
export function wav(samples, rate) {
  const bytes = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const text = (at, word) => [...word].forEach((letter, i) => bytes.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF"), bytes.setUint32(4, 36 + 2 * samples.length, true), text(8, "WAVEfmt ");
  bytes.setUint32(16, 16, true), bytes.setUint16(20, 1, true), bytes.setUint16(22, 1, true);
  bytes.setUint32(24, rate, true), bytes.setUint32(28, 2 * rate, true);
  bytes.setUint16(32, 2, true), bytes.setUint16(34, 16, true), text(36, "data"), bytes.setUint32(40, 2 * samples.length, true);
  new Int16Array(bytes.buffer, 44).set(pcm(samples));
  return new Blob([bytes], { type: "audio/wav" });
}

/** Return samples as 16 bit. */
export function pcm(samples) {
  return Int16Array.from(samples, (sample) => Math.max(-32768, Math.min(32767, Math.round(sample * 32768))));
}
