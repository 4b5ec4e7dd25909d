{# The page's script: contents, sorting, filtering, loading again. Without it all is readable. #}
"use strict";
const contents = document.querySelector("nav ul");
for (const heading of document.querySelectorAll("main h2[id]")) {
  const item = document.createElement("li"), link = document.createElement("a");
  link.href = "#" + heading.id;
  link.textContent = heading.textContent.split(":")[0];
  item.append(link);
  contents.append(item);
}
function valueOf(row, column) {
  const cell = row.cells[column];
  return cell.dataset.value ?? cell.textContent.trim();
}
function compare(first, second) {
  if (first === "" || second === "") return (first === "") - (second === "");
  const [a, b] = [Number(first), Number(second)];
  return Number.isNaN(a) || Number.isNaN(b) ? first.localeCompare(second, "en", { numeric: true }) : a - b;
}
for (const table of document.querySelectorAll("table[data-sortable]")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      heads.forEach((each) => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const body = table.tBodies[0];
      const empty = (row) => valueOf(row, column) === "";
      const rows = [...body.rows].sort((a, b) => {
        const order = compare(valueOf(a, column), valueOf(b, column));
        return empty(a) || empty(b) || !down ? order : -order;
      });
      body.append(...rows);
    });
  });
}
for (const tools of document.querySelectorAll("[data-filter]")) {
  tools.hidden = false;
  const rows = [...document.getElementById(tools.dataset.filter).tBodies[0].rows];
  const names = ["input", "[data-column]", "[data-kind]", "[role=status]"];
  const [text, column, kind, status] = names.map((name) => tools.querySelector(name));
  const update = () => {
    const wanted = text.value.trim().toLowerCase();
    let shown = 0;
    for (const row of rows) {
      const cells = column.value === "" ? [...row.cells] : [row.cells[Number(column.value)]];
      const fits = cells.some((cell) => cell.textContent.trim().toLowerCase().startsWith(wanted));
      const isKind = !kind.value || row.dataset.kind.split(" ").includes(kind.value);
      row.hidden = !(fits && isKind);
      shown += !row.hidden;
    }
    status.textContent = `${shown} of ${rows.length} rows`;
  };
  text.addEventListener("input", update);
  for (const select of [column, kind]) select.addEventListener("change", update);
  update();
}
for (const tools of document.querySelectorAll("[data-reload]")) {
  tools.hidden = false;
  const box = tools.querySelector("input"), key = "reload " + location.pathname;
  const kept = (() => { try { return sessionStorage; } catch { return {}; } })();
  box.checked = kept[key] !== "off";
  box.addEventListener("change", () => { kept[key] = box.checked ? "on" : "off"; });
  setInterval(() => {
    const isTyping = document.activeElement?.matches("input[type=search], select");
    const isFiltered = document.querySelector("input[type=search]")?.value;
    if (box.checked && !isTyping && !isFiltered) location.reload();
  }, 1000 * Number(tools.dataset.reload));
}
