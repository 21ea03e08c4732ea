// The page: what is asked stands in the address behind the `#`, so every view can be linked to.

import { documentView } from "./document.js";
import { el, counted } from "./elements.js";
import { entityView } from "./entity.js";
import { foundView } from "./found.js";
import { ask, takeToken } from "./service.js";

const FILTERS = ["sources", "since", "until", "phases", "languages", "concept", "job", "synthetic", "by"];
const form = document.getElementById("search");
const found = document.getElementById("found");
const shown = document.getElementById("shown");
const status = document.getElementById("status");
let searched = null;
let opened = null;
let asking = null;

const address = () => new URLSearchParams(location.hash.slice(1));

/** The address with some parameters changed; what is null goes. */
export function link(changes) {
  const parameters = address();
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "") parameters.delete(name);
    else parameters.set(name, value);
  }
  return `#${parameters}`;
}

/** Links that leave what is searched as it is and open something beside it. */
export const toDocument = (id, place = null) => link({ document: id, place, entity: null, statement: null });
export const toEntity = (curie) => link({ entity: curie, document: null, statement: null, place: null });

async function show() {
  asking?.abort();
  asking = new AbortController();
  const parameters = address();
  for (const name of ["q", ...FILTERS]) form.elements[name].value = parameters.get(name) ?? "";
  form.querySelector("details").open ||= FILTERS.some((name) => parameters.get(name));
  document.title = [parameters.get("entity") ?? parameters.get("document"), parameters.get("q"), "medkg"]
    .filter(Boolean).join(" · ");
  await Promise.all([search(parameters), open(parameters)]);
}

async function search(parameters) {
  const asked = Object.fromEntries(["q", ...FILTERS].map((name) => [name, parameters.get(name)]));
  const key = JSON.stringify(asked);
  if (key === searched) return;
  if (!asked.q) found.replaceChildren();
  else await put(found, async (signal) => {
    const answer = await ask("search", { ...asked, limit: 20 }, signal);
    status.textContent = `${counted(answer.hits.length, "document")} shown`;
    return foundView(answer);
  });
  searched = key;
}

async function open(parameters) {
  const wanted = ["document", "entity", "statement", "place", "predicate", "polarity", "status", "mentions", "year"];
  const key = JSON.stringify(wanted.map((name) => parameters.get(name)));
  if (key === opened) return;
  const isOther = JSON.stringify(JSON.parse(opened ?? "[]").slice(0, 2)) !== JSON.stringify(JSON.parse(key).slice(0, 2));
  opened = key;
  const [id, entity] = [parameters.get("document"), parameters.get("entity")];
  if (id) await put(shown, (signal) => documentView(id, parameters.get("place"), signal));
  else if (entity) await put(shown, (signal) => entityView(entity, parameters, signal));
  else shown.replaceChildren();
  document.body.classList.toggle("opened", Boolean(id || entity));
  if ((id || entity) && isOther) shown.focus({ preventScroll: true });
}

/** Fills a part of the page, with why it cannot be filled where that is so. */
async function put(place, make) {
  place.setAttribute("aria-busy", "true");
  try {
    place.replaceChildren(...[await make(asking.signal)].flat());
  } catch (error) {
    if (error.name === "AbortError") return;
    place.replaceChildren(el("p", { class: "refusal", role: "alert" }, error.message));
  } finally {
    place.removeAttribute("aria-busy");
  }
}

async function count() {
  const place = document.getElementById("counts");
  try {
    const counts = await ask("counts");
    document.getElementById("ranking").hidden = counts.embedding_model === null;
    const hidden = counts.hidden ? `; ${counted(counts.hidden, "document")} not current and not shown` : "";
    const invented = counts.synthetic_edges ? `, ${counts.synthetic_edges.toLocaleString("en")} of them invented` : "";
    place.textContent =
      `${counted(counts.documents, "document")}, ${counted(counts.nodes, "concept")}, ` +
      `${counted(counts.edges, "edge")}${invented}${hidden}`;
  } catch (error) {
    place.textContent = error.message;
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const asked = Object.fromEntries(["q", ...FILTERS].map((name) => [name, form.elements[name].value.trim()]));
  location.hash = link({ ...asked, document: null, entity: null, statement: null, place: null });
});
document.getElementById("as-concept").addEventListener("click", () => {
  const name = form.elements.q.value.trim();
  if (name) location.hash = toEntity(name);
});
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  (document.body.classList.contains("opened") ? shown : found).focus();
});
addEventListener("hashchange", show);
takeToken();
count();
show();
