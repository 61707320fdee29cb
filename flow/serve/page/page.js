"use strict";
const form = document.getElementById("form"), told = document.getElementById("told");
const result = document.getElementById("result"), view = document.getElementById("view");
const slider = document.getElementById("slider");
let key = "";

function tell(words, wrong) {
  told.textContent = words;
  told.classList.toggle("wrong", wrong);
}

// What is dropped on a place is as if it had been chosen there; the browser would open it otherwise.
for (const drop of document.querySelectorAll(".drop")) {
  const input = drop.querySelector("input"), picture = drop.querySelector("img");
  input.addEventListener("change", () => {
    if (picture.src) URL.revokeObjectURL(picture.src);
    if (input.files.length) picture.src = URL.createObjectURL(input.files[0]);
    else picture.removeAttribute("src");
  });
  for (const name of ["dragover", "dragleave", "drop"]) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", name === "dragover");
    });
  }
  drop.addEventListener("drop", (event) => {
    if (!event.dataTransfer.files.length) return;
    input.files = event.dataTransfer.files;
    input.dispatchEvent(new Event("change"));
  });
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const [first, second] = [form.elements.first.files[0], form.elements.second.files[0]];
  const button = form.querySelector("button"), began = Date.now();
  const ask = new URLSearchParams({ first: first.size, name1: first.name, name2: second.name });
  const clock = setInterval(() => {
    tell(`Estimating: ${Math.round((Date.now() - began) / 1000)} s. The first pair takes longest.`, false);
  }, 500);
  button.disabled = true;
  try {
    const response = await fetch(`flow?${ask}`, { method: "POST", body: new Blob([first, second]) });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.error);
    key = answer.key;
    show();
    clearInterval(clock);
    tell(answer.said.join(" "), false);
  } catch (error) {
    clearInterval(clock);
    tell(error instanceof TypeError ? "The program does not answer; is it still running?" : error.message, true);
  } finally {
    clearInterval(clock);
    button.disabled = false;
  }
});

function show() {
  for (const [picture, choice] of [["under", "left"], ["over", "right"]]) {
    document.getElementById(picture).src = `result/${key}/${document.getElementById(choice).value}`;
  }
  for (const link of document.querySelectorAll("#files a")) link.href = `result/${key}/${link.dataset.name}`;
  result.hidden = false;
}

function move(percent) {
  slider.value = percent;
  view.style.setProperty("--at", `${percent}%`);
}

// Small images are enlarged to twice their size at most.
document.getElementById("under").addEventListener("load", (event) => {
  view.style.maxWidth = `${2 * event.target.naturalWidth}px`;
});
for (const choice of ["left", "right"]) document.getElementById(choice).addEventListener("change", show);
slider.addEventListener("input", () => move(slider.value));
for (const name of ["pointerdown", "pointermove"]) {
  view.addEventListener(name, (event) => {
    if (name === "pointermove" && !event.buttons) return;
    const box = view.getBoundingClientRect();
    move(Math.min(100, Math.max(0, (100 * (event.clientX - box.left)) / box.width)));
  });
}
