"use strict";
document.documentElement.classList.add("js");

const sortBy = (table, column, heading) => {
  const down = heading.getAttribute("aria-sort") === "ascending";
  const value = (body) => {
    const text = body.rows[0].cells[column].dataset.value ?? "";
    return text === "" ? null : Number.isNaN(Number(text)) ? text : Number(text);
  };
  const order = (a, b) => {
    if (a === null || b === null) return (a === null) - (b === null); // what has no value comes last, either way
    const sign = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
    return down ? -sign : sign;
  };
  const rows = [...table.tBodies].map((body) => [value(body), body]);
  rows.sort((a, b) => order(a[0], b[0]));
  table.append(...rows.map(([, body]) => body));
  for (const other of table.tHead.querySelectorAll("th")) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", down ? "descending" : "ascending");
};
for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows].at(-1).querySelectorAll("th").forEach((heading, column) => {
    const button = document.createElement("span"); // a real button is left out where paper repeats the heading
    button.role = "button";
    button.tabIndex = 0;
    button.append(...heading.childNodes);
    heading.append(button);
    heading.addEventListener("click", () => sortBy(table, column, heading));
    heading.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      sortBy(table, column, heading);
    });
  });
}

for (const row of document.querySelectorAll("tr.run")) {
  const details = row.parentElement.querySelector("details");
  const link = row.querySelector("a");
  const tell = () => link.setAttribute("aria-expanded", details.open);
  tell();
  details.addEventListener("toggle", tell);
  row.addEventListener("click", (event) => {
    if (String(getSelection())) return; // text is being selected
    event.preventDefault();
    details.open = !details.open;
  });
}
const openTarget = () => {
  const details = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!details) return;
  details.open = true;
  details.closest("tbody").scrollIntoView();
};
addEventListener("hashchange", openTarget);
openTarget();

for (const button of document.querySelectorAll(".copy")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const code = button.previousElementSibling;
    getSelection().selectAllChildren(code);
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "copied";
    } catch {
      button.textContent = "press Ctrl+C"; // the browser lets no page copy; the text is selected
    }
    setTimeout(() => { button.textContent = "copy"; getSelection().removeAllRanges(); }, 2000);
  });
}
