"use strict";
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const articles = all("article");
const pressed = (button, on) => button.setAttribute("aria-pressed", String(on));
const isPressed = (button) => button.getAttribute("aria-pressed") === "true";

// Filters. Within a group any of the chosen words will do; every group with a choice has to agree. A pair under several
// sentences is shown where one of them fits.
const samplesOf = (article) => (article.matches(".group") ? all("section", article) : [article]);
const total = articles.flatMap(samplesOf).length;
const words = all("nav fieldset button");
const reset = document.querySelector(".reset");

function filter() {
  const chosen = {};
  for (const button of words) {
    if (isPressed(button)) {
      (chosen[button.dataset.group] ??= []).push(button.dataset.word);
    }
  }
  let count = 0;
  for (const article of articles) {
    const fitting = samplesOf(article).filter((sample) =>
      Object.entries(chosen).every(([group, some]) => {
        const has = JSON.parse(sample.dataset[group]);
        return some.some((word) => has.includes(word));
      }));
    article.hidden = fitting.length === 0;
    count += fitting.length;
  }
  document.querySelector("nav output").textContent = `${count} of ${total} shown`;
  document.querySelector(".none").hidden = count > 0;
  reset.hidden = Object.keys(chosen).length === 0;
}

for (const button of words) {
  button.addEventListener("click", () => {
    pressed(button, !isPressed(button));
    filter();
  });
}
reset.addEventListener("click", () => {
  words.forEach((button) => pressed(button, false));
  filter();
  words[0]?.focus();
});
if (matchMedia("(max-width: 720px)").matches) {
  document.querySelector(".filters").open = false;
}

// The view: the pictures of one sample (or of one pair under several sentences) side by side, under one zoom.
const dialog = document.querySelector("dialog");
const panes = dialog.querySelector(".panes");
const title = dialog.querySelector("#view-title");
const solo = dialog.querySelector(".solo");
const scales = all(".scale button", dialog);
const LINE = 16; // pixels, of a wheel that tells lines
const STEPS = [0.25, 0.5, 1, 2, 4, 8, 16];
const view = { article: null, alone: -1, scale: "fit", x: 0.5, y: 0.5 }; // x, y: what is in the middle, as a share

const fingers = new Map(); // where each pointer that is down was last
const glasses = () => all(".glass", panes);
const sizeOf = (image) => [image.naturalWidth || image.width, image.naturalHeight || image.height];

function fitScale(glass) {
  const [width, height] = sizeOf(glass.firstChild);
  return Math.min(glass.clientWidth / width, glass.clientHeight / height) || 1;
}

function scaleOf(glass) {
  return view.scale === "fit" ? fitScale(glass) : view.scale;
}

// Where the middle may be, so that no picture leaves its pane: in the middle, where it is smaller than that.
function held(share, length, room) {
  const margin = room / length / 2;
  return margin >= 0.5 ? 0.5 : Math.min(Math.max(share, margin), 1 - margin);
}

function place() {
  const first = glasses()[0];
  if (!first) return;
  const [w, h] = sizeOf(first.firstChild);
  view.x = held(view.x, w * scaleOf(first), first.clientWidth);
  view.y = held(view.y, h * scaleOf(first), first.clientHeight);
  for (const glass of glasses()) {
    const image = glass.firstChild;
    const scale = scaleOf(glass);
    const [width, height] = sizeOf(image);
    image.style.width = `${width * scale}px`;
    image.style.height = `${height * scale}px`;
    const left = Math.round(glass.clientWidth / 2 - view.x * width * scale);
    const top = Math.round(glass.clientHeight / 2 - view.y * height * scale);
    image.style.transform = `translate(${left}px, ${top}px)`;
    image.classList.toggle("large", scale >= (view.scale === "fit" ? 2 : 1));
  }
  scales.forEach((button) => pressed(button, button.dataset.scale === String(view.scale)));
}

// As many columns as show the pictures largest.
function columns(count, width, height) {
  const caption = parseFloat(getComputedStyle(panes).getPropertyValue("--caption"));
  let best = [0, 1];
  for (let across = 1; across <= count; across++) {
    const down = Math.ceil(count / across);
    const scale = Math.min(panes.clientWidth / across / width, (panes.clientHeight / down - caption) / height);
    if (scale > best[0]) best = [scale, across];
  }
  return best[1];
}

function pane(figure) {
  const made = document.createElement("div");
  made.className = "pane";
  const glass = document.createElement("div");
  glass.className = "glass";
  const source = figure.querySelector("img");
  const image = new Image();
  image.draggable = false;
  image.alt = source.alt;
  image.width = source.width;
  image.height = source.height;
  image.addEventListener("load", place);
  image.src = source.src;
  glass.append(image);
  const caption = document.createElement("p");
  const label = document.createElement("b");
  label.textContent = figure.dataset.label;
  caption.append(label);
  if (many() && figure.dataset.asked) {
    const asked = document.createElement("span");
    asked.append(label, `“${figure.dataset.asked}”`);
    caption.append(asked);
  }
  caption.append(figure.dataset.told);
  caption.title = caption.textContent;
  made.append(glass, caption);
  return made;
}

const many = () => view.article.classList.contains("group"); // one pair under several sentences
const figuresOf = (article) => all("figure", article);

function arrange() {
  const figures = figuresOf(view.article);
  const shown = view.alone < 0 ? figures : [figures[view.alone]];
  fingers.clear();
  panes.replaceChildren(...shown.map(pane));
  panes.classList.toggle("asked", many());
  title.textContent = `${view.article.querySelector("h2").textContent} · ${view.article.dataset.name}`;
  const shows = all("button", solo);
  shows.forEach((button, number) => pressed(button, number - 1 === view.alone));
  shows[view.alone + 1].scrollIntoView({ block: "nearest", inline: "nearest" });
  lay();
}

function lay() {
  const image = view.article?.querySelector("figure img");
  if (!image || !dialog.open) return;
  panes.style.gridTemplateColumns = `repeat(${columns(panes.children.length, ...sizeOf(image))}, minmax(0, 1fr))`;
  place();
}

function open(article, alone = -1) {
  view.article = article;
  const figures = figuresOf(article);
  view.alone = Math.min(alone, figures.length - 1);
  const buttons = ["all", ...figures.map((figure) => figure.dataset.label)].map((name, at) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    button.addEventListener("click", () => {
      view.alone = at - 1;
      arrange();
    });
    return button;
  });
  solo.replaceChildren(...buttons);
  if (!dialog.open) dialog.showModal();
  arrange();
}

function step(by) {
  const shown = articles.filter((article) => !article.hidden);
  const at = shown.indexOf(view.article);
  open(shown[(at + by + shown.length) % shown.length], view.alone);
}

function picture(by) {
  const count = figuresOf(view.article).length + 1;
  view.alone = ((view.alone + 1 + by + count) % count) - 1;
  arrange();
}

function zoom(scale) {
  view.scale = scale === "fit" ? "fit" : Math.min(Math.max(Number(scale), STEPS[0]), STEPS.at(-1));
  place();
}

function larger() {
  const now = scaleOf(glasses()[0]);
  zoom(STEPS.find((scale) => scale > now * 1.001) ?? STEPS.at(-1));
}

function smaller() {
  const now = scaleOf(glasses()[0]);
  zoom(STEPS.findLast((scale) => scale < now * 0.999) ?? STEPS[0]);
}

function pan(glass, right, down) {
  const [width, height] = sizeOf(glass.firstChild);
  view.x += right / (width * scaleOf(glass));
  view.y += down / (height * scaleOf(glass));
  place();
}

for (const article of articles) {
  figuresOf(article).forEach((figure) => figure.querySelector("button").addEventListener("click", () => {
    view.scale = "fit";
    view.x = view.y = 0.5;
    open(article);
  }));
}
all(".step", dialog).forEach((button) => button.addEventListener("click", () => step(Number(button.dataset.step))));
scales.forEach((button) => button.addEventListener("click", () => zoom(button.dataset.scale)));
dialog.querySelector(".close").addEventListener("click", () => dialog.close());
dialog.addEventListener("close", () => {
  panes.replaceChildren();
  view.article?.querySelector("figure button").focus();
});
addEventListener("resize", lay);

const keys = {
  ArrowLeft: () => step(-1),
  ArrowRight: () => step(1),
  ArrowUp: () => picture(-1),
  ArrowDown: () => picture(1),
  "+": larger,
  "=": larger,
  "-": smaller,
  "−": smaller,
  0: () => zoom("fit"),
  1: () => zoom(1),
  2: () => zoom(2),
  4: () => zoom(4),
};
dialog.addEventListener("keydown", (event) => {
  const does = keys[event.key];
  if (does && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    does();
  }
});

// Moving: one finger or the mouse drags, two fingers pinch, a wheel scrolls, and zooms with Ctrl.
const spread = () => {
  const [one, two] = [...fingers.values()];
  return Math.hypot(one.x - two.x, one.y - two.y) || 1;
};
panes.addEventListener("pointerdown", (event) => {
  const glass = event.target.closest(".glass");
  if (!glass || event.button > 0) return;
  glass.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
});
panes.addEventListener("pointermove", (event) => {
  const before = fingers.get(event.pointerId);
  const glass = event.target.closest(".glass");
  if (!before || !glass) return;
  const apart = fingers.size === 2 && spread();
  fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  if (fingers.size === 2) {
    zoom((scaleOf(glass) * spread()) / apart);
  } else {
    pan(glass, before.x - event.clientX, before.y - event.clientY);
  }
});
for (const end of ["pointerup", "pointercancel"]) {
  panes.addEventListener(end, (event) => fingers.delete(event.pointerId));
}
panes.addEventListener("dblclick", () => zoom({ fit: 1, 1: 2, 2: 4 }[view.scale] ?? "fit"));
panes.addEventListener("wheel", (event) => {
  const glass = event.target.closest(".glass");
  if (!glass) return;
  event.preventDefault();
  if (event.ctrlKey) {
    zoom(scaleOf(glass) * Math.exp(-event.deltaY / 200));
  } else {
    const lines = event.deltaMode === 1 ? LINE : 1;
    pan(glass, event.deltaX * lines, event.deltaY * lines);
  }
}, { passive: false });
filter();
