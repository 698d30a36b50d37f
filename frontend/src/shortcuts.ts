/** The page's own keys, which work everywhere, also inside the editor and the terminal. */

export interface Part {
  readonly element: Element;
  enter(): void;
}

export interface Commands {
  run(): void;
  open(): void;
  save(): void;
  format(): void;
}

/** With Ctrl these are keys of programs in the terminal too, and theirs first there. */
const inTerminal = ({ target }: KeyboardEvent): boolean => target instanceof Element && target.closest("#screen") !== null;

/**
 * Makes the handler: true when the key was the page's.
 *
 * F6 goes through the parts of the page, as in browsers and desktop programs: it is the way out of the editor and
 * the terminal, which keep Tab for themselves.
 */
export function shortcuts(parts: readonly Part[], commands: Commands): (event: KeyboardEvent) => boolean {
  const cycle = (step: number): void => {
    const at = parts.findIndex(({ element }) => element.contains(document.activeElement));
    const next = at < 0 ? 0 : (at + step + parts.length) % parts.length;
    parts[next]?.enter();
  };
  return (event) => {
    // A key that a part of the page has answered already comes by again on its way up.
    if (event.defaultPrevented || document.querySelector("dialog[open]")) return false;
    // By the key's place: what Alt makes of a letter differs from one keyboard to the next.
    if (event.altKey && event.shiftKey && event.code === "KeyF" && !event.ctrlKey && !event.metaKey && !inTerminal(event)) {
      if (!event.repeat) commands.format();
      event.preventDefault();
      return true;
    }
    if (event.altKey) return false;
    const modified = event.ctrlKey || event.metaKey;
    if (event.key === "Enter" && modified) {
      if (!event.repeat) commands.run();
    } else if (modified && !event.shiftKey && (event.key === "s" || event.key === "o") && !(event.ctrlKey && inTerminal(event))) {
      if (event.repeat) return true;
      if (event.key === "s") commands.save();
      else commands.open();
    } else if (event.key === "F6" && !modified) {
      cycle(event.shiftKey ? -1 : 1);
    } else {
      return false;
    }
    event.preventDefault();
    return true;
  };
}
