// A concept: what is stated of it, as a picture and as a list, and every sentence behind each statement.

import { manner } from "./document.js";
import { bare, counted, el, kind } from "./elements.js";
import { about, notes } from "./found.js";
import { picture } from "./neighbourhood.js";
import { link, toDocument, toEntity } from "./page.js";
import { ask } from "./service.js";

const SHOWN = 60;
const MORE = 200;

export async function entityView(name, parameters, signal) {
  const { found, suggestions, known_as: known } = await ask("entities", { name }, signal);
  if (found.length !== 1) return several(name, found, suggestions, known);
  const [concept] = found;
  const chosen = (field) => parameters.get(field);
  const isAll = chosen("mentions") === "all";
  const answer = await ask("neighbours", {
    name: concept.id, predicate: chosen("predicate"), polarity: chosen("polarity"), status: chosen("status"),
    mentions: chosen("mentions") === "true", limit: isAll ? MORE : SHOWN, evidence: 50,
  }, signal);
  const year = chosen("year");
  const statements = answer.neighbours.filter((one) => !year || years(one).includes(year));
  const open = statements.find((one) => statementKey(one) === chosen("statement"));
  return [
    el("header", {},
      el("h2", {}, concept.name, " ", el("span", { class: `kind ${kind(concept.category)}` }, kind(concept.category).replaceAll("-", " "))),
      el("p", { class: "about" }, concept.id, concept.equivalents.length ? ` · ${concept.equivalents.join(", ")}` : null,
        concept.synthetic ? el("span", { class: "invented" }, "invented") : null),
      concept.synonyms.length ? el("p", { class: "about" }, `also ${concept.synonyms.join(", ")}`) : null,
      el("p", { class: "sum" }, `${counted(concept.claims, "claim")}, mentioned by ${counted(concept.mentions, "document")}`)),
    filters(parameters, answer),
    timeline(answer.neighbours, year),
    statements.length
      ? picture(concept, statements, open, (one) => link({ statement: statementKey(one) }))
      : el("p", { class: "none" }, "Nothing is stated of it with these filters; its mentions may be shown."),
    open ? await evidence(open, signal) : null,
    list(statements, open),
    ...notes(answer.cut),
  ].filter(Boolean);
}

function several(name, found, suggestions, known) {
  const shown = found.length ? found : suggestions;
  const said = found.length ? `${counted(found.length, "concept is", "concepts are")} called ${name}:`
    : `No document speaks of ${name}.${suggestions.length ? " Did you mean" : ""}`;
  return [
    el("p", { class: "none" }, said),
    el("ul", {}, shown.map((one) => el("li", {}, el("a", { href: toEntity(one.id) }, one.name), ` ${one.id} · ${kind(one.category)}`))),
    found.length || !known.length ? null
      : el("p", { class: "note" }, `The vocabulary knows ${known.map((one) => `${one.name} (${one.id})`).join(", ")}.`),
  ].filter(Boolean);
}

const statementKey = (one) =>
  [one.outgoing ? "→" : "←", one.predicate, one.outgoing ? one.object.id : one.subject.id, one.negated ? "not" : "",
    JSON.stringify(one.qualifiers)].join("|");

const years = (one) => one.evidence.map((each) => each.document.date?.slice(0, 4)).filter(Boolean);

function filters(parameters, answer) {
  const predicates = [...new Set([...answer.neighbours.map((one) => one.predicate), parameters.get("predicate")])]
    .filter(Boolean).sort();
  const choice = (field, label, options) => el("label", {}, `${label} `, el("select", {
    onchange: (event) => { location.hash = link({ [field]: event.target.value, statement: null }); },
  }, options.map(([value, said]) => el("option", { value, selected: (parameters.get(field) ?? "") === value }, said))));
  return el("div", { class: "fields" },
    choice("predicate", "Predicate", [["", "any"], ...predicates.map((one) => [one, bare(one)])]),
    choice("polarity", "Said as", [["", "any"], ["affirmed", "affirmed"], ["denied", "denied"]]),
    choice("status", "Held", [["", "any"], ["asserted", "asserted"], ["possible", "possible"], ["background", "background"]]),
    choice("mentions", "Show", [["", "statements"], ["true", "mentions, too"], ["all", `up to ${MORE} statements`]]));
}

/** How many places say something, by year; a bar shows that year alone. */
function timeline(neighbours, year) {
  const counts = new Map();
  for (const one of neighbours) for (const each of years(one)) counts.set(each, (counts.get(each) ?? 0) + 1);
  if (counts.size < 2 && !year) return null;
  const most = Math.max(...counts.values(), 1);
  const bars = [...counts].sort(([left], [right]) => left.localeCompare(right)).map(([of, count]) =>
    el("a", { href: link({ year: of === year ? null : of, statement: null }), class: of === year ? "chosen" : null,
      "aria-label": `${of}: said in ${counted(count, "place")}${of === year ? ", shown alone" : ""}`, title: `${of}: ${count}` },
      el("span", { class: `bar tenth-${Math.max(1, Math.round((count / most) * 10))}` }), el("span", {}, of)));
  return el("nav", { class: "timeline", "aria-label": "By year of the document" }, bars);
}

function list(statements, open) {
  const byPredicate = Map.groupBy ? Map.groupBy(statements, (one) => one.predicate)
    : statements.reduce((groups, one) => groups.set(one.predicate, [...(groups.get(one.predicate) ?? []), one]), new Map());
  return el("div", { class: "statements" }, [...byPredicate].map(([predicate, some]) => [
    el("h3", {}, bare(predicate)),
    el("ul", {}, some.map((one) => el("li", { class: one === open ? "chosen" : null },
      el("a", { href: link({ statement: statementKey(one) }) }, sentence(one)), ` ${said(one)} `,
      opening(one.outgoing ? one.object : one.subject)))),
  ]));
}

const opening = (other) => el("a", { class: "go", "aria-label": `Open ${other.name}`,
  href: other.document_id ? toDocument(other.document_id) : toEntity(other.id) }, "open");

const qualified = (one) => Object.entries(one.qualifiers).map(([name, value]) => `${bare(name)}: ${bare(String(value))}`);
const sentence = (one) =>
  `${one.negated ? "Denied: " : ""}${one.subject.name} ${bare(one.predicate)} ${one.object.name}`;
const said = (one) => [
  `${counted(one.evidence_count, "place")} in ${counted(one.document_count, "document")}`,
  one.possible_count === one.evidence_count ? "possible" : null,
  one.synthetic ? "invented" : null, ...qualified(one)].filter(Boolean).join(" · ");

async function evidence(open, signal) {
  const { claims, cut } = await ask("claims", {
    subject: open.subject.id, object: open.object.id, predicate: open.predicate, limit: 200,
    polarity: open.negated ? "denied" : "affirmed", mentions: open.predicate === "biolink:mentions",
  }, signal);
  const alike = claims.filter((one) => JSON.stringify(one.qualifiers) === JSON.stringify(open.qualifiers));
  return el("section", { class: "evidence", "aria-label": "Evidence" },
    el("h3", {}, sentence(open)), el("p", { class: "sum" }, said(open)),
    el("ul", {}, alike.map(({ evidence: each }) => el("li", { class: `${each.negated ? "denied" : ""} ${each.certainty}` },
      each.sentence ? el("blockquote", {}, each.sentence) : el("p", {}, el("code", {}, each.record_field || "a field of the record")),
      manner(each).map((word) => el("span", { class: "manner" }, word)),
      el("a", { href: toDocument(each.document.id, each.start) }, each.document.title || each.document.id), about(each.document),
      Object.keys(each.properties).length ? el("p", { class: "about" },
        Object.entries(each.properties).map(([name, value]) => `${bare(name)} ${value}`).join(", ")) : null))),
    ...notes(cut));
}
