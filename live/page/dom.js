// Small helpers around the document.

const svgSpace = "http://www.w3.org/2000/svg";

// make builds an element; of its properties, class and text are attribute and
// content.
export function make(tag, { text, ...attributes } = {}, ...children) {
  return dress(document.createElement(tag), text, attributes, children);
}

export function makeSVG(tag, { text, ...attributes } = {}, ...children) {
  return dress(document.createElementNS(svgSpace, tag), text, attributes, children);
}

function dress(element, text, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  element.append(...children);
  return element;
}

// setText and setAttribute leave alone what is right already: a write costs
// layout even if nothing changes.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function setAttribute(element, name, value) {
  if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

// keyed makes the children of parent those of items, in their order: elements
// are kept by key, so that focus and animations go on.
export function keyed(parent, items, keyOf, create, update) {
  const had = parent.keyedElements ?? new Map();
  const has = new Map();
  let place = parent.firstChild;
  for (const item of items) {
    let key = keyOf(item);
    while (has.has(key)) key += " again"; // policy may hide what tells them apart
    const element = had.get(key) ?? create(item);
    had.delete(key);
    has.set(key, element);
    update(element, item);
    if (element === place) place = place.nextSibling;
    else parent.insertBefore(element, place);
  }
  for (const element of had.values()) element.remove();
  parent.keyedElements = has;
}

export const calm = matchMedia("(prefers-reduced-motion: reduce)");
