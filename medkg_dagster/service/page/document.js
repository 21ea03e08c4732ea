// A document: its text with what it mentions marked, and what it states in the margin.

import { bare, counted, el, kind } from "./elements.js";
import { about, notes } from "./found.js";
import { toEntity } from "./page.js";
import { ask } from "./service.js";

const WHOLE = { text_limit: 200000, limit: 1000 };

export async function documentView(id, place, signal) {
  const answer = await ask("document", { id, ...WHOLE }, signal);
  const { document: described } = answer;
  const statements = answer.claims.filter((claim) => claim.predicate !== "biolink:mentions");
  const names = Object.entries(described.identifiers).map(([scheme, value]) => `${scheme} ${value}`).join(", ");
  const head = el("header", {},
    el("h2", {}, described.title || described.id), about(described),
    el("p", { class: "about" },
      answer.authors.length ? `${answer.authors.slice(0, 6).join(", ")}${answer.authors.length > 6 ? " and others" : ""}. ` : null,
      names ? `${names}. ` : null, answer.licence ? `Licence: ${answer.licence}. ` : null,
      described.url && /^https?:/.test(described.url)
        ? el("a", { href: described.url, rel: "noreferrer", target: "_blank" }, "At its source") : null),
    el("p", { class: "sum" }, `${counted(answer.mentions.length, "mention")}, ${counted(statements.length, "claim")}`));
  const body = answer.text === null ? [] : rows(answer, statements, Number(place ?? -1));
  const fields = statements.filter((claim) => claim.evidence.record_field || answer.text === null);
  const view = [head, ...notes(answer.cut), el("div", { class: "text" }, body),
    fields.length ? el("h3", {}, "From the record's fields") : null,
    fields.map((claim) => aside(claim, true))].flat().filter(Boolean);
  queueMicrotask(() => document.getElementById("place")?.scrollIntoView({ block: "center" }));
  return view;
}

/** The blocks of the text, each with the claims that begin in it. */
function rows(answer, statements, place) {
  const headings = new Map(answer.sections.filter((one) => one.title).map((one) => [one.start, one]));
  const found = [];
  for (const block of answer.text.matchAll(/[^\n]+/g)) {
    const [start, end] = [block.index + answer.text_start, block.index + block[0].length + answer.text_start];
    const claims = statements.filter((one) =>
      !one.evidence.record_field && one.evidence.start >= start && one.evidence.start < end);
    const section = headings.get(start);
    const isHeading = section && block[0].trim() === section.title;
    const isPlace = place >= start && place <= end;
    const text = isHeading ? block[0] : segments(answer, block[0], start, claims);
    found.push(el("div", { class: "row", id: isPlace ? "place" : null },
      el(isHeading ? "h3" : "p", {}, text), el("div", { class: "margin" }, claims.map((claim) => aside(claim)))));
  }
  return found;
}

/** A block cut where a mention or the sentence of a claim begins or ends. */
function segments(answer, text, from, claims) {
  const to = from + text.length;
  const mentions = [];
  let last = from;
  for (const one of answer.mentions) {
    if (one.start !== null && one.start >= last && one.end <= to) {
      mentions.push(one);
      last = one.end;
    }
  }
  const bounds = new Set([from, to]);
  for (const one of mentions) bounds.add(one.start).add(one.end);
  for (const { evidence } of claims) bounds.add(evidence.start).add(Math.min(evidence.end, to));
  const cuts = [...bounds].sort((left, right) => left - right);
  return cuts.slice(0, -1).map((start, number) => {
    const end = cuts[number + 1];
    const said = text.slice(start - from, end - from);
    const mention = mentions.find((one) => one.start <= start && end <= one.end);
    const of = claims.filter(({ evidence }) => evidence.start <= start && end <= evidence.end).map(({ evidence }) => evidence.id);
    const part = mention
      ? el("a", { class: `mention ${kind(mention.category)}${mention.negated ? " denied" : ""}`,
          href: toEntity(mention.curie), title: `${mention.name} (${mention.curie})${mention.negated ? ", denied" : ""}` }, said)
      : said;
    return of.length ? el("span", { "data-claims": of.join(" ") }, part) : part;
  });
}

const lit = (id, isLit) => () => {
  for (const part of document.querySelectorAll(`[data-claims~="${CSS.escape(id)}"]`)) part.classList.toggle("lit", isLit);
};

/** How sure a document is of what it says, in words. */
export const manner = (evidence) =>
  [evidence.negated ? "denied" : null, evidence.certainty === "asserted" ? null : evidence.certainty,
    evidence.background ? "background" : null].filter(Boolean);

function aside(claim, withField = false) {
  const { evidence } = claim;
  return el("aside", { class: `claim ${evidence.negated ? "denied" : ""} ${evidence.certainty}`, tabindex: 0,
    onmouseenter: lit(evidence.id, true), onmouseleave: lit(evidence.id, false),
    onfocusin: lit(evidence.id, true), onfocusout: lit(evidence.id, false) },
    el("a", { href: toEntity(claim.subject.id) }, claim.subject.name), ` ${bare(claim.predicate)} `,
    el("a", { href: toEntity(claim.object.id) }, claim.object.name),
    manner(evidence).map((word) => el("span", { class: "manner" }, word)),
    withField && evidence.record_field ? el("code", {}, evidence.record_field) : null);
}
