// The picture of a neighbourhood: the concept in the middle, what is stated around it, grouped by predicate.
//
// It is SVG of links, not a canvas: each statement can be reached by keyboard and is read out.

import { bare, counted, kind, svg } from "./elements.js";

const WIDTH = 1060;
const ACROSS = 270;
const [FLAT, DOWN, FOR_EACH] = [70, 265, 9]; // few neighbours need no high picture
const MARGIN = 40;
const LINE = 16;
const RING = 34;
const LETTERS = 28;

export function picture(concept, statements, open, to) {
  const groups = [...new Set(statements.map((one) => one.predicate))];
  const ordered = [...statements].sort((left, right) => groups.indexOf(left.predicate) - groups.indexOf(right.predicate));
  const rings = Math.ceil(ordered.length / RING);
  const lines = [];
  const nodes = [];
  const heights = [0];
  const down = Math.min(DOWN, FLAT + FOR_EACH * ordered.length);
  ordered.forEach((one, number) => {
    // From the right of the middle on: the names of few neighbours stand beside it.
    const turn = (number / ordered.length) * 2 * Math.PI;
    const ring = rings === 1 ? 1 : 0.55 + (0.45 * (number % rings)) / (rings - 1);
    const [x, y] = [Math.cos(turn) * ACROSS * ring, Math.sin(turn) * down * ring];
    heights.push(y);
    const other = one.outgoing ? one.object : one.subject;
    const isPossible = one.possible_count === one.evidence_count;
    const words = [one.negated ? "denied" : "", isPossible ? "possible" : "", one === open ? "chosen" : ""];
    const label = `${one.subject.name} ${one.negated ? "not " : ""}${bare(one.predicate)} ${one.object.name}, ` +
      `${counted(one.evidence_count, "place")}${isPossible ? ", possible only" : ""}${one.negated ? ", denied" : ""}`;
    const [from, end] = one.outgoing ? [[0, 0], [x, y]] : [[x, y], [0, 0]];
    const middle = [(from[0] + end[0]) / 2, (from[1] + end[1]) / 2];
    const heading = (Math.atan2(end[1] - from[1], end[0] - from[0]) * 180) / Math.PI;
    const width = 1 + Math.min(5, Math.log2(one.evidence_count));
    lines.push(svg("a", { href: to(one), class: `edge predicate-${groups.indexOf(one.predicate) % 8} ${words.join(" ")}`, "aria-label": label },
      svg("title", {}, label),
      svg("line", { class: "reach", x1: from[0], y1: from[1], x2: end[0], y2: end[1] }),
      svg("line", { x1: from[0], y1: from[1], x2: end[0], y2: end[1], "stroke-width": width }),
      svg("path", { d: "M6 0L-5 5L-5 -5Z", transform: `translate(${middle}) rotate(${heading})` })));
    const side = x >= 0 ? 1 : -1;
    nodes.push(svg("a", { href: to(one), class: `node ${kind(other.category)} ${words.join(" ")}`, tabindex: -1 },
      svg("title", {}, `${other.name} (${other.id})`), svg("circle", { cx: x, cy: y, r: 6 }),
      rings > 2 && ordered.length > 120 ? null
        : svg("text", { x: x + 10 * side, y: y + 4, "text-anchor": side > 0 ? "start" : "end" }, short(other.name))));
  });
  const top = Math.min(Math.min(...heights) - MARGIN, -(Math.min(groups.length, 8) * LINE) / 2 - LINE);
  const height = Math.max(Math.max(...heights) + MARGIN, -top) - top;
  const legend = groups.slice(0, 8).map((predicate, number) => svg("g", { class: `edge predicate-${number}`,
    transform: `translate(${-WIDTH / 2 + 8} ${top + LINE + number * LINE})` },
    svg("line", { x1: 0, y1: -4, x2: 22, y2: -4, "stroke-width": 2 }), svg("text", { x: 28, y: 0 }, bare(predicate))));
  return svg("svg", { class: "neighbourhood", viewBox: `${-WIDTH / 2} ${top} ${WIDTH} ${height}`, role: "group",
    "aria-label": `What is stated of ${concept.name}: ${counted(statements.length, "statement")}` },
    legend, lines, nodes,
    svg("g", { class: `node middle ${kind(concept.category)}` }, svg("circle", { r: 11 }),
      svg("text", { y: -16, "text-anchor": "middle" }, short(concept.name))));
}

const short = (name) => (name.length > LETTERS ? `${name.slice(0, LETTERS - 1)}…` : name);
