// Elements of text and attributes: nothing that a document says is ever read as HTML.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

export const el = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
export const svg = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

export const counted = (number, one, many = `${one}s`) =>
  `${number.toLocaleString("en")} ${number === 1 ? one : many}`;

/** A CURIE or predicate as people read it: `biolink:treats` is `treats`. */
export const bare = (name) => name.replace(/^biolink:/, "").replaceAll("_", " ");

/** A category as the name of a class: `biolink:Disease` is `disease`. */
export const kind = (categories) => {
  const category = (Array.isArray(categories) ? categories[0] : categories) ?? "";
  return bare(category).replace(/(?<=[a-z])(?=[A-Z])/g, "-").toLowerCase() || "thing";
};
