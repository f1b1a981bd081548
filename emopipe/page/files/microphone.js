/* What the microphone gives, passed on in pieces of a tenth of a second or so. */

const SIZE = 4096; // samples of a piece

class Pieces extends AudioWorkletProcessor {
  constructor() {
    super();
    this.piece = new Float32Array(SIZE);
    this.filled = 0;
    this.port.onmessage = () => {
      this.port.postMessage(this.piece.slice(0, this.filled));
      this.port.postMessage(null); // the end
      this.ended = true;
    };
  }

  process([[channel]]) {
    if (this.ended) return false;
    for (const sample of channel ?? []) {
      this.piece[this.filled++] = sample;
      if (this.filled === SIZE) {
        this.port.postMessage(this.piece.slice());
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("pieces", Pieces);
