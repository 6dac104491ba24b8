// What the page knows: the text, the token that is selected, how tokens are drawn.

export const state = {
  run: null, // the name of the run whose model writes; null for the newest
  model: null, // facts about the model
  tokens: [], // {id, text, p, q, prompt}
  selected: null, // a place in the text; the length of the text is the place after it
  writing: "", // the server's name for this text, to go on with it
  busy: false,
  view: "write",
  settings: { temperature: 0.8, top_k: null, top_p: null, min_p: null },
};

const bus = new EventTarget();
export const on = (name, call) => bus.addEventListener(name, (event) => call(event.detail));
export const tell = (name, detail) => bus.dispatchEvent(new CustomEvent(name, { detail }));

export const ids = () => state.tokens.map((token) => token.id);

export function select(place) {
  state.selected = Math.max(0, Math.min(place, state.tokens.length));
  tell("selected");
}

export function request(more = {}) {
  return { run: state.run, settings: state.settings, ...more };
}
