"use strict";
// The leaderboard: sorting, filtering and paging of the rows that the page holds as JSON.
(() => {
  const PAGE = 100;
  const CHOICES = ["evaluation", "model", "metric", "status"];
  const ARROWS = { higher: " ↑", lower: " ↓", neither: "" };
  const { columns, data, directions, count } = JSON.parse(document.getElementById("rows").textContent);
  const byId = (id) => document.getElementById(id);
  const [head, body] = [byId("board").tHead, byId("board").tBodies[0]];
  const sorting = { key: null, descending: false };
  const chosen = {};
  let page = 0;
  let haystacks = null;
  let order = [];

  const raw = (key, row) => (data[key].pool ? data[key].pool[data[key].index[row]] : data[key][row]);

  function number(value) {
    if (value === null) return "";
    const size = Math.abs(value);
    const short = Number(value.toPrecision(4));
    let text = String(short);
    if (size >= 1e6 || (size > 0 && size < 1e-4)) text = short.toExponential().replace("+", "");
    else if (size >= 1000) text = value.toFixed(0).replace(/\B(?=(\d{3})+$)/g, ",");
    return text.replaceAll("-", "−");
  }

  function shown(column, row) {
    const value = raw(column.key, row);
    if (column.key === "value" && value === null) return raw("status", row) === "ok" ? "" : raw("status", row);
    if (column.key === "metric") return value + ARROWS[directions.pool[directions.index[row]]];
    return column.kind === "number" ? number(value) : value;
  }

  // a text's place among all texts of its column, so that sorting compares numbers only
  const ranks = {};

  function rank(key, row) {
    if (!data[key].pool) return data[key][row];
    if (!ranks[key]) {
      const places = data[key].pool.map((_, index) => index).sort((a, b) => compareTexts(data[key].pool[a], data[key].pool[b]));
      ranks[key] = [];
      places.forEach((index, place) => (ranks[key][index] = place));
    }
    return ranks[key][data[key].index[row]];
  }

  // numbers inside texts count as numbers, with their decimals: linf-0.0314 comes before linf-0.3
  function compareTexts(one, other) {
    const [a, b] = [one, other].map((text) => text.split(/(\d+(?:\.\d+)?(?:e[+-]?\d+)?)/));
    for (let part = 0; part < Math.min(a.length, b.length); part += 1) {
      const difference = part % 2 ? Number(a[part]) - Number(b[part]) : a[part].localeCompare(b[part], "en");
      if (difference) return difference;
    }
    return a.length - b.length;
  }

  function isEmpty(key, row) {
    const value = raw(key, row);
    return value === null || value === "";
  }

  function sorted(rows) {
    const { key, descending } = sorting;
    if (key === null) return rows;
    const full = rows.filter((row) => !isEmpty(key, row));
    const sign = descending ? -1 : 1;
    full.sort((one, other) => sign * (rank(key, one) - rank(key, other)) || one - other);
    return full.concat(rows.filter((row) => isEmpty(key, row))); // rows without a value come last either way
  }

  function filtered() {
    const words = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    if (words.length && !haystacks) {
      haystacks = Array.from({ length: count }, (_, row) => columns.map((column) => shown(column, row)).join(" ").toLowerCase());
    }
    const wanted = Object.entries(chosen).filter(([, value]) => value !== "");
    return Array.from({ length: count }, (_, row) => row).filter(
      (row) => wanted.every(([key, value]) => raw(key, row) === value) && words.every((word) => haystacks[row].includes(word)),
    );
  }

  function drawPage() {
    const start = page * PAGE;
    const visible = order.slice(start, start + PAGE);
    const lines = visible.map((row) => {
      const line = document.createElement("tr");
      for (const column of columns) {
        const cell = line.insertCell();
        const text = document.createElement("div");
        text.textContent = shown(column, row);
        cell.append(text);
        cell.className = column.kind === "number" ? `num ${column.key}` : column.key === "row" ? "id" : column.key;
        if (["value", "status"].includes(column.key) && raw("status", row) !== "ok") cell.classList.add("bad");
        if (column.key === "message") text.title = text.textContent;
      }
      return line;
    });
    body.replaceChildren(...lines);
    const range = visible.length ? `${number(start + 1)}–${number(start + visible.length)} of ` : "";
    const all = order.length === count ? "" : ` (of ${number(count)} in all)`;
    byId("count").textContent = `${range}${number(order.length)} rows${all}`;
    byId("previous").disabled = page === 0;
    byId("next").disabled = start + PAGE >= order.length;
  }

  function update() {
    order = sorted(filtered());
    page = 0;
    for (const cell of head.rows[0].cells) {
      const direction = sorting.descending ? "descending" : "ascending";
      cell.setAttribute("aria-sort", cell.dataset.key === sorting.key ? direction : "none");
    }
    drawPage();
  }

  function turn(step) {
    page += step;
    drawPage();
    byId("board").parentElement.scrollTop = 0;
  }

  function sortBy(key) {
    sorting.descending = sorting.key === key && !sorting.descending;
    sorting.key = key;
    update();
  }

  const headLine = head.insertRow();
  for (const column of columns) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.dataset.key = column.key;
    if (column.kind === "number") cell.className = "num";
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = column.title;
    button.title = column.hint;
    button.addEventListener("click", () => sortBy(column.key));
    cell.append(button);
    headLine.append(cell);
  }

  for (const key of CHOICES.filter((name) => data[name] && data[name].pool.length > 1)) {
    const select = document.createElement("select");
    select.append(new Option("all", ""), ...data[key].pool.map((value) => new Option(value, value)));
    select.addEventListener("change", () => {
      chosen[key] = select.value;
      update();
    });
    const label = document.createElement("label");
    label.append(key, select);
    byId("choices").append(label);
  }

  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  byId("filter").addEventListener("input", update);
  byId("clear").addEventListener("click", () => {
    byId("controls").reset();
    Object.keys(chosen).forEach((key) => delete chosen[key]);
    update();
  });
  byId("previous").addEventListener("click", () => turn(-1));
  byId("next").addEventListener("click", () => turn(1));
  byId("controls").hidden = byId("pager").hidden = false;
  update();
})();
