"use strict";
const articles = [...document.querySelectorAll("article")];
const buttons = [...document.querySelectorAll("nav fieldset button")];
const shown = document.querySelector("nav output");
const none = document.querySelector(".none");

// Within a group any of the chosen words will do; every group with a choice has to agree.
function filter() {
  const chosen = {};
  for (const button of buttons) {
    if (button.getAttribute("aria-pressed") === "true") {
      (chosen[button.dataset.group] ??= []).push(button.dataset.word);
    }
  }
  let count = 0;
  for (const article of articles) {
    const fits = Object.entries(chosen).every(([group, words]) => {
      const has = JSON.parse(article.dataset[group]);
      return words.some((word) => has.includes(word));
    });
    article.hidden = !fits;
    count += fits;
  }
  shown.textContent = `${count} of ${articles.length} shown`;
  none.hidden = count > 0;
}

for (const button of buttons) {
  button.addEventListener("click", () => {
    button.setAttribute("aria-pressed", button.getAttribute("aria-pressed") !== "true");
    filter();
  });
}

// A picture at full size; the arrow keys go through the pictures of the same sample, in place.
const dialog = document.querySelector("dialog");
const large = dialog.querySelector("img");
const told = dialog.querySelector("p");
let row = [];
let at = 0;

function show() {
  large.src = row[at].src;
  large.alt = row[at].alt;
  told.textContent = `${row[at].alt} — ← → compare, Esc closes`;
}

for (const article of articles) {
  const images = [...article.querySelectorAll("figure img")];
  images.forEach((image, number) => {
    image.closest("button").addEventListener("click", () => {
      row = images;
      at = number;
      show();
      dialog.showModal();
    });
  });
}
dialog.addEventListener("click", () => dialog.close());
document.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (step && dialog.open) {
    event.preventDefault();
    at = (at + step + row.length) % row.length;
    show();
  }
});
filter();
