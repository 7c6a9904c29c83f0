// @ts-check

/**
 * Returns the element with this id. Throws if there is none of this kind.
 * @template {HTMLElement} Kind
 * @param {string} id
 * @param {new () => Kind} kind
 * @returns {Kind}
 */
export function byId(id, kind) {
  const found = document.getElementById(id);
  if (found instanceof kind) return found;
  throw new Error(`find element: ${id}`);
}

/**
 * Makes an element. Strings become text, never markup: keys and tenants come from clients.
 * @param {string} tag
 * @param {{ readonly class?: string, readonly title?: string }} attributes
 * @param {readonly (string | Node)[]} children
 * @returns {HTMLElement}
 */
export function make(tag, attributes, ...children) {
  const made = document.createElement(tag);
  if (attributes.class !== undefined) made.className = attributes.class;
  if (attributes.title !== undefined) made.title = attributes.title;
  made.append(...children);
  return made;
}

/**
 * Sets a text if it has changed, so that unchanged text keeps its selection and is not painted again.
 * @param {string} id
 * @param {string} text
 */
export function write(id, text) {
  const element = byId(id, HTMLElement);
  if (element.textContent !== text) element.textContent = text;
}
