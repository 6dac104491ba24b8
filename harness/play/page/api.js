// Requests to the server of this page, and nothing else.

export class Problem extends Error {
  constructor(lines) {
    super(lines.join(" "));
    this.lines = lines;
  }
}

const ENDED = ["harness play has ended, or is busy. Start it again in a terminal, then load this page."];

async function send(path, options) {
  try {
    return await fetch(path, { ...options, cache: "no-store", credentials: "omit" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(ENDED);
  }
}

function asJson(body, signal) {
  return { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal };
}

async function answer(response) {
  const facts = await response.json();
  if (facts.problem) throw new Problem(facts.problem);
  return facts;
}

export const get = async (path) => answer(await send(path));
export const ask = async (path, body) => answer(await send(path, asJson(body)));

// The events of a stream, one by one: [name, facts].
export async function* events(path, body, signal) {
  const response = await send(path, asJson(body, signal));
  if (!response.headers.get("Content-Type").startsWith("text/event-stream")) return void (await answer(response));
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (waiting + value).split("\n\n");
    waiting = parts.pop();
    for (const part of parts) {
      const [, name, facts] = part.match(/^event: (.*)\ndata: (.*)$/);
      yield [name, JSON.parse(facts)];
    }
  }
}

// Runs `work` with the newest arguments, one call at a time: what is asked for meanwhile waits, only the last.
export function latest(work) {
  let running = false;
  let waiting = null;
  return async function call(...args) {
    waiting = args;
    if (running) return;
    running = true;
    try {
      while (waiting) {
        const now = waiting;
        waiting = null;
        await work(...now);
      }
    } finally {
      running = false;
    }
  };
}
