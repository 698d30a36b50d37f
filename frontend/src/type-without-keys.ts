/**
 * Text that comes without key presses: emoji pickers, dictation, accent menus, some keyboards on screens, assistive tools.
 *
 * xterm.js leaves such `input` events out while it serves screen readers (xtermjs/xterm.js#3469). What it handles
 * itself are keys, and what input methods compose; everything else is typed here.
 */

const TYPED: ReadonlySet<string> = new Set(["insertText", "insertReplacementText", "insertFromDrop", "insertFromYank"]);

/** `leftOut` says whether xterm.js leaves such text out now. */
export function typeWithoutKeys(textarea: HTMLTextAreaElement, leftOut: () => boolean, type: (text: string) => void): void {
  let keyDown = false;
  // In front of xterm.js, which stops some of them.
  textarea.addEventListener("keydown", () => void (keyDown = true), { capture: true });
  textarea.addEventListener("keyup", () => void (keyDown = false), { capture: true });
  textarea.addEventListener("blur", () => void (keyDown = false));
  textarea.addEventListener(
    "input",
    (event) => {
      if (!(event instanceof InputEvent) || !TYPED.has(event.inputType) || event.isComposing || keyDown) return;
      if (event.data === null || event.data === "" || !leftOut()) return;
      textarea.value = "";
      type(event.data);
    },
    { capture: true },
  );
}
