// Looking inside: what each head of a layer reads, and the logit lens.

import { ask, latest } from "./api.js";
import { colour, find, make, percent, sayProblem, visible } from "./dom.js";
import { ids, on, request, select, state } from "./state.js";
import { showWeights } from "./text.js";
import { setModel } from "./write.js";

let layer = 0;
let head = 0;
let found = null;
const where = find("inside-where");

const place = () => Math.min(state.selected ?? state.tokens.length, state.tokens.length - 1);

const redraw = latest(async () => {
  if (state.view !== "inside" || !state.model) return showWeights(null);
  if (!state.tokens.length) return;
  try {
    const asked = place();
    found = await ask("/api/inside", request({ ids: ids(), position: asked, layer }));
    found.place = asked;
    setModel(found.model);
    if (state.view === "inside") show();
  } catch (error) {
    sayProblem(where, error);
  }
});

function show() {
  layer = found.layer;
  head = Math.min(head, found.rows.length - 1);
  const token = state.tokens[found.place];
  where.replaceChildren("From ", make("b", {}, visible(token.text)), ` in place ${found.place + 1}. Click another token, or a cell of the map.`);
  showLayers();
  showHeads();
  showHead();
  showLens();
}

function showLayers() {
  const legend = find("layers").firstElementChild;
  const choices = Array.from({ length: state.model.layers }, (_, number) => {
    const input = make("input", { type: "radio", name: "layer", value: number, checked: number === layer });
    input.addEventListener("change", () => {
      layer = number;
      redraw();
    });
    return make("label", {}, input, make("span", {}, String(number + 1)));
  });
  if (find("layers").childElementCount - 1 === choices.length) {
    find("layers").querySelectorAll("input")[layer].checked = true;
    return;
  }
  find("layers").replaceChildren(legend, ...choices);
}

function showHeads() {
  const cards = found.maps.map((map, number) => {
    const canvas = make("canvas", { role: "presentation" });
    paint(canvas, map, 1);
    const reads = found.reads[number].map(({ place: at, weight }) => `${visible(state.tokens[found.start + at]?.text ?? "")} ${percent(weight)}`);
    const card = make(
      "button",
      { type: "button", className: "head", role: "radio", "aria-checked": number === head, tabIndex: number === head ? 0 : -1 },
      canvas,
      make("span", {}, make("b", {}, `Head ${number + 1}`), make("small", {}, `reads ${reads.join(", ")}`)),
    );
    card.addEventListener("click", () => choose(number));
    return card;
  });
  find("heads").replaceChildren(...cards);
}

function choose(number) {
  const had = find("heads").contains(document.activeElement);
  head = (number + found.maps.length) % found.maps.length;
  showHeads();
  showHead();
  if (had) find("heads").children[head].focus();
}

find("heads").addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  choose(head + step);
});

function showHead() {
  showWeights({ start: found.start, row: found.rows[head] });
  const size = cells(found.maps[head]).size;
  paint(find("map"), found.maps[head], Math.max(4, Math.floor(480 / size)), found.place - found.start - found.mapStart);
  find("map").setAttribute("aria-label", `Attention map of head ${head + 1} in layer ${layer + 1}, ${size} tokens`);
  find("map-caption").textContent = `Head ${head + 1}, layer ${layer + 1}: a row for each token that reads, a column for each that is read.`;
}

function cells(map) {
  const bytes = Uint8Array.from(atob(map), (letter) => letter.charCodeAt(0));
  return { bytes, size: Math.sqrt(bytes.length) };
}

const rgb = (text) => {
  const made = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d");
  made.fillStyle = text;
  made.fillRect(0, 0, 1, 1);
  return made.getImageData(0, 0, 1, 1).data;
};

// A cell for each weight, from the colour of the card to that of reading; weights below the eye's reach are raised.
function paint(canvas, map, scale, row = -1) {
  const { bytes, size } = cells(map);
  const [from, to] = [rgb(colour("--map-low")), rgb(colour("--map-high"))];
  const small = Object.assign(document.createElement("canvas"), { width: size, height: size });
  const image = small.getContext("2d").createImageData(size, size);
  bytes.forEach((byte, i) => {
    const share = Math.sqrt(byte / 255);
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = from[c] + share * (to[c] - from[c]);
    image.data[4 * i + 3] = i % size > Math.floor(i / size) ? 0 : 255; // nothing reads ahead
  });
  small.getContext("2d").putImageData(image, 0, 0);
  canvas.width = canvas.height = size * scale;
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
  if (row < 0) return;
  context.strokeStyle = colour("--warm");
  context.lineWidth = 2;
  context.strokeRect(1, row * scale - 0.5, (row + 1) * scale, scale + 1);
}

function at(event) {
  const box = find("map").getBoundingClientRect();
  const size = cells(found.maps[head]).size;
  const row = Math.floor(((event.clientY - box.top) / box.height) * size);
  const column = Math.floor(((event.clientX - box.left) / box.width) * size);
  return { row, column, size, first: found.start + found.mapStart };
}

find("map").addEventListener("mousemove", (event) => {
  if (!found) return;
  const { row, column, size, first } = at(event);
  const text = (each) => visible(state.tokens[first + each]?.text ?? "");
  const weight = cells(found.maps[head]).bytes[row * size + column] / 255;
  find("map-caption").textContent = column > row ? "No token reads what comes after it." : `${text(row)} in place ${first + row + 1} reads ${text(column)} in place ${first + column + 1} with ${percent(weight)}.`;
});
find("map").addEventListener("click", (event) => found && select(at(event).first + at(event).row));

function showLens() {
  find("lens-part").hidden = !found.lens;
  if (!found.lens) return;
  const rows = found.lens.map((best, depth) => {
    const name = depth === 0 ? "embeddings" : `block ${depth}`;
    const guesses = best.map(({ text, p }) => {
      const cell = make("td", {}, make("b", {}, visible(text)), make("small", {}, percent(p)));
      cell.style.setProperty("--weight", p);
      return cell;
    });
    return make("tr", {}, make("th", { scope: "row" }, name), ...guesses);
  });
  find("lens").replaceChildren(make("caption", { className: "hidden" }, "The likeliest next tokens after each layer"), ...rows);
}

for (const name of ["selected", "view", "grown"]) on(name, redraw);
on("theme", () => found && state.view === "inside" && show());
