/* Who answers: the service that this page came from, or the model in the browser. Both give the same rows.

An engine has answer(sound, way, take), for a file, and open(rate, way, take), for sound as it is recorded; a way is
{mode, window}, and take is given every row as it comes. Both return a job: {done, stop()} and, of a stream, push() and
end(). */

import { pcm } from "./sound.js";

/** A refusal for want of the token. */
export class TokenError extends Error {}

export class Service {
  constructor() {
    this.token = "";
  }

  async load() {}

  answer(sound, way, take) {
    const leaving = new AbortController();
    return { done: this.#answer(sound, way, take, leaving.signal), stop: () => leaving.abort() };
  }

  async #answer({ file }, way, take, signal) {
    const form = new FormData();
    form.append("file", file, "recording"); // what it is called is nobody's business
    const headers = this.token ? { Authorization: `Bearer ${this.token}` } : {};
    let reply, answer;
    try {
      reply = await fetch(`v1/predict?${options(way)}`, { method: "POST", body: form, headers, signal });
      answer = await reply.json();
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Error("The service does not answer; is it still running?");
    }
    if (reply.status === 401) throw new TokenError("The service wants its token.");
    if (!reply.ok && !answer.rows?.length) throw new Error(`The service refuses the recording: ${answer.detail}.`);
    for (const row of answer.rows) take(row);
  }

  open(rate, way, take) {
    const query = options(way);
    query.set("rate", rate);
    const address = new URL(`v1/stream?${query}`, document.baseURI.replace(/^http/, "ws"));
    const socket = new WebSocket(address, this.token ? ["emopipe", `emopipe.token.${encoded(this.token)}`] : []);
    const opened = new Promise((resolve) => socket.addEventListener("open", resolve));
    socket.addEventListener("message", ({ data }) => take(JSON.parse(data)));
    const done = new Promise((resolve, reject) => {
      socket.addEventListener("close", ({ code, reason }) => {
        if (code === 1000) resolve();
        else reject(new Error(`The service ended the stream: ${reason || "it takes no more of them, or wants its token"}.`));
      });
    });
    const send = async (message) => {
      await opened;
      if (socket.readyState === WebSocket.OPEN) socket.send(message);
    };
    return { done, push: (samples) => send(pcm(samples)), end: () => send("end"), stop: () => socket.close(1000) };
  }
}

export class Browser {
  constructor(facts) {
    this.facts = facts;
    this.jobs = new Map();
    this.count = 0;
  }

  /** Fetch the model, and tell how much of it has come. */
  async load(progress) {
    const model = await fetched(this.facts.model, this.facts.bytes, progress);
    this.worker = new Worker("worker.js", { type: "module" });
    this.worker.onmessage = ({ data }) => this.jobs.get(data.id)?.(data);
    const { done } = this.#job("load", { facts: this.facts, model }, [model]);
    await done;
  }

  answer({ samples, rate }, way, take, progress) {
    const job = this.#job("begin", { rate, ...way }, [], take, progress);
    job.push(samples);
    job.end();
    return job;
  }

  open(rate, way, take) {
    return this.#job("begin", { rate, ...way }, [], take);
  }

  #job(kind, message, moved, take, progress) {
    const id = this.count++;
    const done = new Promise((resolve, reject) => {
      this.jobs.set(id, (data) => {
        if (data.row) take(data.row);
        else if (data.progress) progress?.(data.progress);
        else {
          this.jobs.delete(id);
          if (data.error) reject(new Error(`The model failed: ${data.error}`));
          else resolve();
        }
      });
    });
    this.worker.postMessage({ kind, id, ...message }, moved);
    return {
      done,
      push: (samples) => this.worker.postMessage({ kind: "samples", id, samples }),
      end: () => this.worker.postMessage({ kind: "end", id }),
      stop: () => {
        this.jobs.delete(id);
        this.worker.postMessage({ kind: "stop", id });
      },
    };
  }
}

function options({ mode, window }) {
  return new URLSearchParams(mode === "windows" ? { segments: mode, window } : { segments: mode });
}

/** Return a token as a WebSocket's subprotocol can hold it: base64url of RFC 4648. */
function encoded(token) {
  return btoa(token).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

async function fetched(address, bytes, progress) {
  const reply = await fetch(address);
  if (!reply.ok) throw new Error(`${address}: the model is not there (${reply.status}).`);
  const all = new Uint8Array(bytes), reader = reply.body.getReader();
  let at = 0;
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    if (at + part.value.length > bytes) break;
    all.set(part.value, at);
    progress((at += part.value.length) / bytes);
  }
  if (at !== bytes) throw new Error(`${address}: not the model that this page was made with.`);
  return all.buffer;
}
