/** Typed access to the elements of index.html, looked up once, where each is used. */

export function byId<T extends HTMLElement>(id: string, type: abstract new () => T): T {
  const element = document.getElementById(id);
  if (!(element instanceof type)) throw new Error(`index.html has no ${type.name} #${id}`);
  return element;
}

/** Makes an element with text: never markup, so what programs and people name things stays text. */
export function textElement<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  text: string,
  className = "",
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  element.textContent = text;
  if (className) element.className = className;
  return element;
}

/** On a touch screen, giving text fields the focus unasked opens a keyboard over what people want to see. */
export function hasKeyboard(): boolean {
  return !matchMedia("(pointer: coarse)").matches;
}
