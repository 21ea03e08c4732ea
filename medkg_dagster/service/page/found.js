// What a search found: documents, each with its best passage.

import { counted, el, kind } from "./elements.js";
import { toDocument, toEntity } from "./page.js";

/** A text in which some places are marked. */
export function marked(text, marks) {
  const parts = [];
  let end = 0;
  for (const [from, to] of marks) {
    parts.push(text.slice(end, from), el("mark", {}, text.slice(from, to)));
    end = to;
  }
  return [...parts, text.slice(end)];
}

export const about = (reference) =>
  el("p", { class: "about" },
    [reference.id, reference.source.replace(/^infores:/, ""), reference.date].filter(Boolean).join(" · "),
    reference.synthetic ? el("span", { class: "invented" }, "invented") : null);

export const notes = (cut) => cut.map((said) => el("p", { class: "note" }, said));

function concepts(hit) {
  if (!hit.concepts.length) return null;
  const more = hit.concept_count - hit.concepts.length;
  return el("ul", { class: "concepts", "aria-label": "Mentions" },
    hit.concepts.map((one) => el("li", {}, el("a", { class: kind(one.category), href: toEntity(one.id) }, one.name))),
    more ? el("li", {}, `${more} more`) : null);
}

export function foundView(answer) {
  if (!answer.hits.length) {
    const unknown = answer.unknown.length ? `; no document has ${answer.unknown.join(", ")}` : "";
    return [el("p", { class: "none" }, `No match for ${answer.query}${unknown}.`), ...notes(answer.cut)];
  }
  const hits = answer.hits.map((hit) => el("li", {},
    el("h2", {}, el("a", { href: toDocument(hit.document.id, hit.passage.start) },
      marked(hit.document.title || hit.document.id, hit.document.title ? hit.title_marks : []))),
    about(hit.document),
    el("p", { class: "passage" },
      hit.passage.section ? el("b", {}, `${hit.passage.section} `) : null,
      marked(hit.passage.text, hit.passage.marks)),
    concepts(hit)));
  const unknown = answer.unknown.length ? [el("p", { class: "note" }, `no document has ${answer.unknown.join(", ")}`)] : [];
  return [el("p", { class: "sum" }, counted(answer.total, "document")), ...unknown, el("ol", {}, hits), ...notes(answer.cut)];
}
