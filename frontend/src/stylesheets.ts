/**
 * Lets CodeMirror and xterm.js style themselves under a policy that forbids inline styles.
 *
 * Both make <style> elements, and xterm.js sets `style` attributes for 24-bit colours. The content security
 * policy refuses these, as it should: it can't tell them from injected ones. The same rules as constructed
 * style sheets, and the same declarations through the CSSOM, are allowed, since only running scripts, which
 * the policy has vetted, can make them. Neither library offers that for a whole document, so the two DOM
 * calls are led there. The alternative, `style-src 'unsafe-inline'`, would weaken the policy for everything.
 */

/** An element in place of a <style>, which the policy would refuse even while it is empty. */
function standIn(document: Document, inert: HTMLElement): HTMLElement {
  const sheet = new CSSStyleSheet();
  const remove = inert.remove.bind(inert);
  let text = "";
  Object.defineProperties(inert, {
    sheet: { get: () => sheet },
    textContent: {
      get: () => text,
      set: (value: string) => {
        text = value;
        sheet.replaceSync(value);
      },
    },
    remove: {
      value: () => {
        document.adoptedStyleSheets = document.adoptedStyleSheets.filter((other) => other !== sheet);
        remove();
      },
    },
  });
  document.adoptedStyleSheets.push(sheet);
  return inert;
}

export function useConstructedStyles(document: Document): void {
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- only its overload for made-up tag names is
  const createElement = document.createElement.bind(document) as (name: string, options?: unknown) => HTMLElement;
  const replacement = (name: string, options?: unknown): HTMLElement =>
    name === "style" ? standIn(document, createElement("template")) : createElement(name, options);
  Object.defineProperty(document, "createElement", { value: replacement });

  // eslint-disable-next-line @typescript-eslint/unbound-method -- it is called with an explicit `this`
  const setAttribute = Element.prototype.setAttribute;
  Element.prototype.setAttribute = function (this: Element, name: string, value: string) {
    if (name === "style" && this instanceof HTMLElement) this.style.cssText = value;
    else setAttribute.call(this, name, value);
  };
}
