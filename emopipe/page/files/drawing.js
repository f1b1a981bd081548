/* The picture of a recording: the waveform in the colours of its segments, and the answers over time below. */

const AXIS = 18, GAP = 18, LEFT = 30; // px

/** Draw.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {object} picture {peaks, seconds, rows, bars, scale: [low, high], at}: rows have colour, the number of
 *   their emotion or null, and values, drawn as bars or lines; at is where it plays, in seconds
 */
export function draw(canvas, { peaks, seconds, rows, bars, scale, at }) {
  const width = canvas.clientWidth, height = canvas.clientHeight, ratio = window.devicePixelRatio;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  pen.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(`--${name}`);
  const x = (time) => LEFT + (width - LEFT - 1) * (seconds ? time / seconds : 0);
  const wave = Math.round((height - AXIS - GAP) * 0.55), top = wave + GAP, bottom = height - AXIS;

  for (const row of rows) {
    const [from, to] = [x(row.start), x(row.end ?? seconds)];
    pen.fillStyle = row.colour === null ? colour("tint") : colour(`c${row.colour % 8}`);
    pen.globalAlpha = row.colour === null ? 1 : 0.22;
    pen.fillRect(from, 0, Math.max(1, to - from - 1), wave);
    pen.globalAlpha = 1;
  }
  drawWave(pen, peaks, seconds, rows, { width, wave, x, colour });
  for (const row of rows) {
    const room = x(row.end ?? seconds) - x(row.start) - 8;
    pen.fillStyle = colour("ink");
    if (row.text && pen.measureText(row.text).width < room) pen.fillText(row.text, x(row.start) + 4, 14);
  }

  const y = (value) => bottom - (bottom - top) * Math.max(0, Math.min(1, (value - scale[0]) / (scale[1] - scale[0])));
  pen.strokeStyle = colour("line");
  pen.fillStyle = colour("soft");
  pen.fillText(bars ? "confidence" : `from ${scale[0]} to ${scale[1]}`, LEFT, top - 5);
  pen.textAlign = "right";
  for (const value of [scale[0], (scale[0] + scale[1]) / 2, scale[1]]) {
    pen.beginPath(), pen.moveTo(LEFT, y(value)), pen.lineTo(width, y(value)), pen.stroke();
    pen.fillText(value, LEFT - 4, Math.max(top + 9, y(value) + 4 - (value === scale[0] ? 4 : 0)));
  }
  for (const row of rows) {
    row.values.forEach((value, i) => {
      if (value === null) return;
      const own = row.colour ?? i, from = x(row.start), to = Math.max(from + 2, x(row.end ?? seconds) - 1);
      pen.fillStyle = pen.strokeStyle = row.abstained ? colour("none") : colour(`c${own % 8}`);
      if (bars) {
        pen.globalAlpha = row.abstained ? 0.45 : 0.85;
        pen.fillRect(from, y(value), to - from, bottom - y(value));
        pen.globalAlpha = 1;
      } else {
        pen.lineWidth = 3;
        pen.setLineDash([[], [6, 3], [2, 2]][i % 3]); // not by colour alone
        pen.beginPath(), pen.moveTo(from, y(value)), pen.lineTo(to, y(value)), pen.stroke();
        pen.setLineDash([]);
        pen.lineWidth = 1;
      }
    });
  }

  pen.textAlign = "center";
  pen.fillStyle = colour("soft");
  const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600].find((size) => x(size) - LEFT > 55) ?? 1200;
  for (let i = 0; i * step <= seconds; i++) {
    const place = x(i * step);
    if (place < width - 12) pen.fillText(clock(i * step, step), Math.max(place, LEFT + 4), height - 3);
  }
  if (at !== null) {
    pen.fillStyle = colour("ink");
    pen.fillRect(x(at) - 1, 0, 2, bottom);
  }
}

function drawWave(pen, peaks, seconds, rows, { width, wave, x, colour }) {
  let row = 0;
  for (let column = LEFT; column < width; column++) {
    const time = seconds * (column - LEFT) / (width - LEFT - 1), next = seconds * (column + 1 - LEFT) / (width - LEFT - 1);
    const from = Math.floor(time * 100), to = Math.max(from + 1, Math.ceil(next * 100));
    let low = 0, high = 0;
    for (let part = from; part < Math.min(to, peaks.low.length); part++) {
      low = Math.min(low, peaks.low[part]);
      high = Math.max(high, peaks.high[part]);
    }
    while (row < rows.length - 1 && (rows[row].end ?? seconds) <= time) row++;
    const own = rows[row];
    const inside = own && own.start <= time && (own.end ?? seconds) > time;
    pen.fillStyle = inside && own.colour !== null ? colour(`c${own.colour % 8}`) : colour("none");
    const middle = wave / 2, half = wave / 2 - 2;
    pen.fillRect(column, middle - half * Math.min(1, high), 1, Math.max(1, half * (Math.min(1, high) - Math.max(-1, low))));
  }
}

/** Return the time that a place of the picture stands for, in seconds. */
export function timeAt(canvas, place, seconds) {
  return Math.max(0, seconds * (place - LEFT) / (canvas.clientWidth - LEFT - 1));
}

/** Return a time as minutes and seconds. */
export function clock(seconds, step = 0.1) {
  const digits = step < 1 ? 1 : 0, minutes = Math.floor(seconds / 60 + 1e-9);
  return `${minutes}:${(seconds - 60 * minutes).toFixed(digits).padStart(digits ? 4 : 2, "0")}`;
}
