// The picture of a neighbourhood: the concept in the middle, what is stated of it around it.
//
// It is SVG of links, not a canvas: each statement can be reached by keyboard and is read out.

import { bare, counted, kind, svg } from "./elements.js";

const WIDTH = 1060;
const ACROSS = 270;
const [FLAT, DOWN, FOR_EACH] = [70, 265, 11]; // few neighbours need no high picture
const MARGIN = 40;
const LINE = 16;
const BEND = 26; // between statements that have both ends in common
const RING = 34;
const NAMED = 120;
const LETTERS = 28;
const COLOURS = 8;

export function picture(concept, statements, open, to) {
  const predicates = [...new Set(statements.map((one) => one.predicate))];
  const places = arrange(statements);
  const lines = statements.map((one) => {
    const place = places.get(far(one).id);
    const bend = (place.statements.indexOf(one) - (place.statements.length - 1) / 2) * BEND;
    return line(one, place, bend, predicates.indexOf(one.predicate) % COLOURS, one === open, to(one));
  });
  const nodes = [...places.values()].map((place) => node(place, places.size <= NAMED, to(place.statements[0])));
  const heights = [...places.values()].map(({ y }) => y);
  const legend = predicates.slice(0, COLOURS);
  const top = Math.min(Math.min(0, ...heights) - MARGIN, -(legend.length * LINE) / 2 - LINE);
  const height = Math.max(Math.max(0, ...heights) + MARGIN, -top) - top;
  return svg("svg", { class: "neighbourhood", viewBox: `${-WIDTH / 2} ${top} ${WIDTH} ${height}`, role: "group",
    "aria-label": `What is stated of ${concept.name}: ${counted(statements.length, "statement")}` },
    legend.map((predicate, number) => svg("g", { class: `edge predicate-${number}`,
      transform: `translate(${-WIDTH / 2 + 8} ${top + LINE + number * LINE})` },
      svg("line", { x1: 0, y1: -4, x2: 22, y2: -4, "stroke-width": 2 }), svg("text", { x: 28, y: 0 }, bare(predicate)))),
    lines, nodes,
    svg("g", { class: `node middle ${kind(concept.category)}` }, svg("circle", { r: 11 }),
      svg("text", { y: -16, "text-anchor": "middle" }, short(concept.name))));
}

const far = (one) => (one.outgoing ? one.object : one.subject);
const short = (name) => (name.length > LETTERS ? `${name.slice(0, LETTERS - 1)}…` : name);

/** Where each neighbour stands: from the right of the middle on, where the names of few stand beside it. */
function arrange(statements) {
  const places = new Map();
  for (const one of statements) {
    const other = far(one);
    if (!places.has(other.id)) places.set(other.id, { other, statements: [] });
    places.get(other.id).statements.push(one);
  }
  const rings = Math.ceil(places.size / RING);
  const down = Math.min(DOWN, FLAT + FOR_EACH * places.size);
  [...places.values()].forEach((place, number) => {
    const turn = (number / places.size) * 2 * Math.PI;
    const ring = rings === 1 ? 1 : 0.55 + (0.45 * (number % rings)) / (rings - 1);
    Object.assign(place, { x: Math.cos(turn) * ACROSS * ring, y: Math.sin(turn) * down * ring });
  });
  return places;
}

/** A statement: a line that bends aside where there are several between two concepts, and an arrow on it. */
function line(one, { x, y }, bend, colour, isOpen, href) {
  const isPossible = one.possible_count === one.evidence_count;
  const label = `${one.negated ? "Denied: " : ""}${one.subject.name} ${bare(one.predicate)} ${one.object.name}, ` +
    `${counted(one.evidence_count, "place")}${isPossible ? ", possible only" : ""}`;
  const length = Math.hypot(x, y) || 1;
  const aside = [(-y / length) * bend, (x / length) * bend];
  const path = `M0 0Q${x / 2 + aside[0]} ${y / 2 + aside[1]} ${x} ${y}`;
  const heading = (Math.atan2(y, x) * 180) / Math.PI + (one.outgoing ? 0 : 180);
  const words = [one.negated ? "denied" : "", isPossible ? "possible" : "", isOpen ? "chosen" : ""];
  return svg("a", { href, class: `edge predicate-${colour} ${words.join(" ")}`, "aria-label": label },
    svg("title", {}, label), svg("path", { class: "reach", d: path }),
    svg("path", { class: "line", d: path, "stroke-width": 1 + Math.min(5, Math.log2(one.evidence_count)) }),
    svg("path", { class: "arrow", d: "M6 0L-5 5L-5 -5Z",
      transform: `translate(${x / 2 + aside[0] / 2} ${y / 2 + aside[1] / 2}) rotate(${heading})` }));
}

function node({ other, x, y }, isNamed, href) {
  const side = x >= 0 ? 1 : -1;
  return svg("a", { href, class: `node ${kind(other.category)}`, tabindex: -1 },
    svg("title", {}, `${other.name} (${other.id})`), svg("circle", { cx: x, cy: y, r: 6 }),
    isNamed ? svg("text", { x: x + 10 * side, y: y + 4, "text-anchor": side > 0 ? "start" : "end" }, short(other.name)) : null);
}
