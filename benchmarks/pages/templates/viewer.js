// The viewer of one pair. What it shows stands in the address: #pair=NAME&left=LAYER&right=LAYER&mode=slide|beside|blink.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const pairs = new Map(data.pairs.map((pair) => [pair.name, pair]));
  const at = (id) => document.getElementById(id);
  const [dialog, stage, slider, zoom] = [at("viewer"), at("stage"), at("slider"), at("zoom")];
  const sides = { left: at("left"), right: at("right") };
  const scrolls = Array.from(stage.querySelectorAll(".scroll"));
  const BLINK_MS = 600;
  const WIDE = 1.8; // pictures this wide are larger one above the other than beside each other
  let state = null; // { pair, left, right, mode } of the pair that is shown
  let blinking = 0;

  // A layer is "truth", or "METHOD/error".
  function layersOf(pair) {
    const layers = new Map();
    for (const [layer, words] of Object.entries(data.layers.shared)) {
      if (layer in pair.shared) layers.set(layer, { words, kind: layer, file: pair.shared[layer] });
    }
    for (const method of data.methods) {
      const own = pair.methods[method.key] || {};
      for (const [layer, words] of Object.entries(data.layers.method)) {
        if (!(layer in own)) continue;
        const file = `${encodeURIComponent(method.key)}/${own[layer]}`;
        layers.set(`${method.key}/${layer}`, { words: `${method.label}: ${words}`, kind: layer, file });
      }
    }
    return layers;
  }

  const written = (text) => encodeURIComponent(text).replaceAll("%2F", "/");
  const addressOf = ({ pair, left, right, mode }) => `#pair=${written(pair)}&left=${written(left)}&right=${written(right)}&mode=${mode}`;

  function wanted() {
    const words = new URLSearchParams(location.hash.slice(1).replaceAll("+", "%2B"));
    const pair = pairs.get(words.get("pair"));
    if (!pair) return null;
    const layers = layersOf(pair);
    const firstError = Array.from(layers.keys()).find((layer) => layer.endsWith("/error")) || "truth";
    const known = (layer, otherwise) => (layers.has(layer) ? layer : otherwise);
    const mode = ["slide", "beside", "blink"].includes(words.get("mode")) ? words.get("mode") : "slide";
    return { pair: pair.name, left: known(words.get("left"), "frame1"), right: known(words.get("right"), firstError), mode };
  }

  function go(change) {
    history.replaceState(null, "", addressOf({ ...state, ...change }));
    show();
  }

  function fill(select, layers, chosen) {
    const options = Array.from(layers, ([layer, { words }]) => new Option(words, layer, false, layer === chosen));
    select.replaceChildren(...options);
  }

  function figuresOf(pair) {
    const text = (value, unit) => (value === null ? "–" : `${value.toFixed(2)} ${unit}`);
    const known = data.methods.filter((method) => method.key in pair.figures);
    return known.map(({ key, label }) => `${label} ${text(pair.figures[key].EPE, "px")}, Fl ${text(pair.figures[key].Fl, "%")}`).join(" · ");
  }

  function size() {
    const pair = pairs.get(state.pair);
    const ratio = pair.width / pair.height;
    const stacked = state.mode === "beside" && ratio > WIDE;
    const widest = `calc(${stacked ? 36 : 72}dvh * ${ratio})`;
    stage.classList.toggle("stacked", stacked);
    for (const image of stage.querySelectorAll("img")) {
      const factor = Number(zoom.value);
      image.style.width = factor ? `${factor * pair.width}px` : "100%";
      image.style.maxWidth = factor ? "none" : widest;
      image.style.aspectRatio = `${pair.width} / ${pair.height}`;
      image.style.imageRendering = factor > 1 ? "pixelated" : "auto";
    }
    // A narrow picture in a wide window: the slider goes over the picture and not over what is beside it.
    stage.style.maxWidth = state.mode === "beside" && !stacked ? "" : widest;
  }

  function show() {
    state = wanted();
    if (!state) {
      if (dialog.open) dialog.close();
      return;
    }
    const pair = pairs.get(state.pair);
    const layers = layersOf(pair);
    at("viewer-title").textContent = pair.name;
    at("viewer-figures").textContent = figuresOf(pair);
    at("radius").textContent = pair.radius.toFixed(1);
    const kinds = new Set();
    for (const side of ["left", "right"]) {
      const layer = layers.get(state[side]);
      const pane = at(`pane-${side}`);
      const image = pane.querySelector("img");
      fill(sides[side], layers, state[side]);
      image.src = `${pair.folder}/${layer.file}`;
      image.alt = `${layer.words} of ${pair.name}`;
      pane.querySelector("figcaption").textContent = layer.words;
      kinds.add(layer.kind);
    }
    const any = (...names) => names.some((name) => kinds.has(name));
    at("flow-key").hidden = !any("flow", "truth", "matches", "interpolated", "chosen");
    at("error-key").hidden = !any("error");
    at("share-key").hidden = !any("confidence", "occluded", "hidden");
    setMode();
    size();
    if (!dialog.open) open();
    fetchNeighbours();
  }

  function open() {
    dialog.showModal();
    at("viewer-title").focus();
  }

  function setMode() {
    stage.dataset.mode = state.mode;
    dialog.querySelector(`input[value="${state.mode}"]`).checked = true;
    slider.parentElement.hidden = state.mode !== "slide";
    clearInterval(blinking);
    stage.classList.remove("on");
    if (state.mode === "blink") blinking = setInterval(() => stage.classList.toggle("on"), BLINK_MS);
  }

  // Pairs in the order of the list, as it is sorted and filtered.
  function neighbour(step) {
    const rows = Array.from(document.querySelectorAll("#list tbody tr:not([hidden])"), (row) => row.dataset.name);
    const names = rows.filter((name) => pairs.has(name));
    if (!names.length) return state.pair;
    const place = names.indexOf(state.pair);
    return names[place < 0 ? 0 : (place + step + names.length) % names.length];
  }

  function fetchNeighbours() {
    for (const step of [1, -1]) {
      const pair = pairs.get(neighbour(step));
      for (const side of ["left", "right"]) {
        const layer = layersOf(pair).get(state[side]);
        if (layer) new Image().src = `${pair.folder}/${layer.file}`;
      }
    }
  }

  function cut(percent) {
    slider.value = Math.min(100, Math.max(0, percent));
    stage.style.setProperty("--cut", `${slider.value}%`);
  }

  const KEYS = {
    n: () => go({ pair: neighbour(1) }),
    p: () => go({ pair: neighbour(-1) }),
    s: () => go({ left: state.right, right: state.left }),
    f: () => go({ left: "frame1", right: "frame2", mode: "blink" }),
    b: () => go({ mode: state.mode === "blink" ? "slide" : "blink" }),
    z: () => {
      zoom.selectedIndex = (zoom.selectedIndex + 1) % zoom.options.length;
      size();
    },
    arrowleft: () => cut(Number(slider.value) - 2),
    arrowright: () => cut(Number(slider.value) + 2),
  };

  dialog.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    // A menu finds its entries by letters; the slider and the choice of the mode move by arrows themselves.
    if (event.target.matches(event.key.startsWith("Arrow") ? "select, input" : "select")) return;
    const act = KEYS[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    act();
  });
  dialog.addEventListener("close", () => {
    clearInterval(blinking);
    if (location.hash.startsWith("#pair=")) history.replaceState(null, "", "#pairs");
  });
  dialog.addEventListener("change", (event) => {
    if (event.target.name === "mode") go({ mode: event.target.value });
  });
  for (const side of ["left", "right"]) sides[side].addEventListener("change", () => go({ [side]: sides[side].value }));
  zoom.addEventListener("change", size);
  slider.addEventListener("input", () => cut(slider.value));
  at("next").addEventListener("click", KEYS.n);
  at("previous").addEventListener("click", KEYS.p);
  at("swap").addEventListener("click", KEYS.s);
  at("frames").addEventListener("click", KEYS.f);
  at("close").addEventListener("click", () => dialog.close());

  at("divider").addEventListener("pointerdown", (event) => {
    event.preventDefault();
    event.target.setPointerCapture(event.pointerId);
    const move = (moved) => {
      const box = stage.getBoundingClientRect();
      cut((100 * (moved.clientX - box.left)) / box.width);
    };
    event.target.addEventListener("pointermove", move);
    event.target.addEventListener("pointerup", () => event.target.removeEventListener("pointermove", move), { once: true });
  });
  for (const scroll of scrolls) {
    scroll.addEventListener("scroll", () => {
      const other = scrolls.find((one) => one !== scroll);
      [other.scrollLeft, other.scrollTop] = [scroll.scrollLeft, scroll.scrollTop];
    });
  }
  window.addEventListener("hashchange", show);
  cut(50);
  show();
})();
