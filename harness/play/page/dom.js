// Small helpers around the document.

export const find = (id) => document.getElementById(id);

// An element with properties, attributes (data-*, aria-*, role) and children.
export function make(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role") made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children);
  return made;
}

const SVG = "http://www.w3.org/2000/svg";
export function draw(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

export function percent(p) {
  if (p === null || p === undefined) return "–";
  const value = 100 * p;
  if (value === 0) return "0\u00a0%";
  if (value < 0.1) return "<0.1\u00a0%";
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)}\u00a0%`;
}

// A token as people can see and read it.
export function visible(text) {
  if (text === "") return "∅";
  return text.replaceAll("\n", "↵").replaceAll("\t", "⇥").replaceAll(" ", "␣");
}

export function spoken(text) {
  const names = { " ": "space", "\n": "line break", "\t": "tab", "": "empty", "'": "apostrophe" };
  return names[text] ?? text.replaceAll("\n", " line break ");
}

export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export function sayProblem(place, error) {
  if (error.name === "AbortError") return;
  if (!error.lines) console.error(error);
  const lines = error.lines ?? ["Something went wrong on this page. Load it again."];
  place.replaceChildren(...lines.map((line, i) => make("p", { className: i ? "problem more" : "problem" }, line)));
}
