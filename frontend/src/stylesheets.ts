/**
 * Lets CodeMirror and xterm.js style themselves under a policy that forbids inline styles.
 *
 * Both make <style> elements, and xterm.js sets `style` attributes for 24-bit colours. The content security
 * policy refuses these, as it should: it can't tell them from injected ones. The same rules as constructed
 * style sheets, and the same declarations through the CSSOM, are allowed, since only running scripts, which
 * the policy has vetted, can make them. Neither library offers that for a whole document, so the two DOM
 * calls are led there. The alternative, `style-src 'unsafe-inline'`, would weaken the policy for everything.
 */

function backByConstructedSheet(element: HTMLStyleElement, document: Document): void {
  const sheet = new CSSStyleSheet();
  let text = "";
  Object.defineProperty(element, "textContent", {
    get: () => text,
    set: (value: string | null) => {
      text = value ?? "";
      sheet.replaceSync(text);
    },
  });
  Object.defineProperty(element, "sheet", { get: () => sheet });
  const remove = element.remove.bind(element);
  element.remove = () => {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((other) => other !== sheet);
    remove();
  };
  document.adoptedStyleSheets.push(sheet);
}

export function useConstructedStyles(document: Document): void {
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- only its overload for made-up tag names is
  const createElement = document.createElement.bind(document) as (name: string, options?: unknown) => HTMLElement;
  const replacement = (name: string, options?: unknown): HTMLElement => {
    const element = createElement(name, options);
    if (element instanceof HTMLStyleElement) backByConstructedSheet(element, document);
    return element;
  };
  Object.defineProperty(document, "createElement", { value: replacement });

  // eslint-disable-next-line @typescript-eslint/unbound-method -- it is called with an explicit `this`
  const setAttribute = Element.prototype.setAttribute;
  Element.prototype.setAttribute = function (this: Element, name: string, value: string) {
    if (name === "style" && this instanceof HTMLElement) this.style.cssText = value;
    else setAttribute.call(this, name, value);
  };
}
