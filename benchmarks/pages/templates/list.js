// The list of pairs: sorting and filtering of the rows that are there, and which methods the charts show.
"use strict";
(() => {
  const form = document.getElementById("filters");
  const table = document.getElementById("list");
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  let order = { by: "", down: false };

  const figure = () => form.elements.figure.value.toLowerCase();

  function value(row, key) {
    const cell = row.querySelector(`td[data-key="${CSS.escape(key)}"]`);
    const text = cell ? cell.dataset[figure()] : "";
    return text === "" ? NaN : Number(text);
  }

  function judged(row) {
    if (form.elements.method.value) return value(row, form.elements.method.value);
    const all = Array.from(row.querySelectorAll("td[data-key]:not([data-key=spread])"), (cell) => value(row, cell.dataset.key));
    return Math.max(...all.filter((one) => !Number.isNaN(one)));
  }

  function filter() {
    const { name, least, most } = form.elements;
    const words = name.value.trim().toLowerCase();
    let shown = 0;
    for (const row of rows) {
      const error = judged(row);
      const far = (least.value !== "" && !(error >= Number(least.value))) || (most.value !== "" && !(error <= Number(most.value)));
      row.hidden = far || !row.dataset.name.toLowerCase().includes(words);
      shown += row.hidden ? 0 : 1;
    }
    document.getElementById("count").value = `${shown} of ${rows.length}`;
    document.getElementById("none").hidden = shown > 0;
  }

  function compare(a, b) {
    if (order.by === "name") return a.dataset.name.localeCompare(b.dataset.name, "en", { numeric: true }) * (order.down ? -1 : 1);
    const [first, second] = [value(a, order.by), value(b, order.by)];
    if (Number.isNaN(first) || Number.isNaN(second)) return Number.isNaN(first) - Number.isNaN(second);
    return order.down ? second - first : first - second;
  }

  function sort() {
    for (const button of table.querySelectorAll("button[data-sort]")) {
      const direction = order.down ? "descending" : "ascending";
      button.closest("th").setAttribute("aria-sort", button.dataset.sort === order.by ? direction : "none");
    }
    if (order.by) body.append(...rows.sort(compare));
  }

  function showFigure() {
    for (const cell of body.querySelectorAll("td[data-key]")) {
      const text = cell.dataset[figure()];
      cell.querySelector("span").textContent = text === "" ? "–" : Number(text).toFixed(2);
    }
    sort();
    filter();
  }

  table.tHead.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-sort]");
    if (!button) return;
    const by = button.dataset.sort;
    // Errors are looked at from the worst on, names from the first on.
    order = { by, down: order.by === by ? !order.down : by !== "name" };
    sort();
  });
  form.addEventListener("input", filter);
  form.elements.figure.addEventListener("change", showFigure);
  form.addEventListener("reset", () => setTimeout(showFigure));
  form.addEventListener("submit", (event) => event.preventDefault());

  document.querySelector(".legend").addEventListener("change", (event) => {
    for (const drawn of document.querySelectorAll(`.charts [data-series="${event.target.dataset.series}"]`)) {
      drawn.style.display = event.target.checked ? "" : "none";
    }
  });
  showFigure();
})();
