const all = (what) => [...document.querySelectorAll(what)];
const statements = all("details"), edges = all(".edge"), words = document.getElementById("words");
const open = (id) => {
  const chosen = document.getElementById(id);
  if (!chosen || chosen.tagName !== "DETAILS") return;
  chosen.open = true;
  mark(id);
  chosen.scrollIntoView({ block: "nearest" });
  chosen.firstElementChild.focus();
};
const mark = (id) => edges.forEach((edge) => edge.classList.toggle("chosen", edge.getAttribute("href") === "#" + id));
edges.forEach((edge) => edge.addEventListener("click", (event) => {
  event.preventDefault();
  history.replaceState(null, "", edge.getAttribute("href"));
  open(edge.getAttribute("href").slice(1));
}));
statements.forEach((one) => one.addEventListener("toggle", () => one.open && mark(one.id)));
const filter = () => {
  const shown = new Set(all("input[type=checkbox]:checked").map((box) => box.dataset.predicate));
  const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  const nodes = new Set();
  statements.forEach((one, number) => {
    const text = one.textContent.toLowerCase();
    one.hidden = !shown.has(one.dataset.predicate) || !wanted.every((word) => text.includes(word));
    edges.filter((edge) => edge.getAttribute("href") === "#" + one.id)
      .forEach((edge) => edge.style.display = one.hidden ? "none" : "");
    if (!one.hidden) { count += 1; nodes.add(one.dataset.node); }
  });
  all("g[data-node]").forEach((node) => node.style.display = nodes.has(node.dataset.node) ? "" : "none");
  document.getElementById("shown").textContent = count + " shown";
};
all("fieldset input").forEach((box) => box.addEventListener("input", filter));
addEventListener("hashchange", () => open(location.hash.slice(1)));
addEventListener("keydown", (event) => {
  if (event.key === "/" && document.activeElement !== words) { event.preventDefault(); words.focus(); }
  if (event.key === "Escape") { statements.forEach((one) => one.open = false); mark(""); }
});
if (location.hash) open(location.hash.slice(1));
