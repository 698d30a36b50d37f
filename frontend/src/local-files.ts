/** Opening local files, by a dialog of the browser's or by dropping them anywhere on the page. */

import type { Language } from "./api";
import { byId } from "./dom";
import { bytes } from "./lib/format";
import { MAX_OPENED, openFiles, type Opened, type Opening } from "./lib/opened";
import type { Entry } from "./lib/zip";
import type { Notice } from "./notice";

/** An archive of text is smaller than what is in it; one of pictures is not worth reading. */
const MAX_ARCHIVE = 20_000_000;
const MAX_ENTRIES = 1000;

export interface LocalFilesEvents {
  readonly languages: readonly Language[];
  /** The name of the language that is open. */
  language(): string;
  opened(opened: Opened): void;
}

export class LocalFiles {
  readonly #events: LocalFilesEvents;
  readonly #notice: Notice;
  readonly #input = byId("files-input", HTMLInputElement);
  readonly #zone = byId("drop-zone", HTMLElement);
  /** How many elements the dragged files are over: one that is left is left after the next was entered. */
  #over = 0;

  constructor(events: LocalFilesEvents, notice: Notice) {
    this.#events = events;
    this.#notice = notice;
    this.#input.addEventListener("change", () => {
      const files = [...(this.#input.files ?? [])];
      // So that choosing the same one again is a change too.
      this.#input.value = "";
      void this.#open(files);
    });
    // Before the editor, which would take the file's text for text.
    for (const type of ["dragenter", "dragover", "dragleave", "drop"] as const) {
      window.addEventListener(type, (event) => this.#drag(event), { capture: true });
    }
  }

  /** Asks which files to open. */
  choose(): void {
    this.#input.click();
  }

  #drag(event: DragEvent): void {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    event.stopPropagation();
    // A dialog asks something that is to be answered first.
    const possible = !document.querySelector("dialog[open]");
    event.dataTransfer.dropEffect = possible ? "copy" : "none";
    if (event.type === "dragenter") this.#over += 1;
    else if (event.type === "dragleave") this.#over -= 1;
    else if (event.type === "drop") this.#over = 0;
    this.#zone.hidden = this.#over <= 0 || !possible;
    if (event.type === "drop" && possible) this.#drop(event.dataTransfer);
  }

  #drop(data: DataTransfer): void {
    const folder = [...data.items].map((item) => item.webkitGetAsEntry()).find((entry) => entry?.isDirectory);
    if (folder) this.#notice.show(`“${folder.name}” is a folder. Drop the files in it, or a .zip of it.`);
    else void this.#open([...data.files]);
  }

  async #open(files: readonly File[]): Promise<void> {
    if (files.length === 0) return;
    const opening = await this.#read(files);
    if ("problem" in opening) this.#notice.show(opening.problem);
    else this.#events.opened(opening);
  }

  async #read(files: readonly File[]): Promise<Opening> {
    const limit = files.length === 1 ? MAX_ARCHIVE : MAX_OPENED;
    const total = files.reduce((sum, { size }) => sum + size, 0);
    const [first] = files;
    if (total > limit) {
      const what = files.length === 1 ? `“${first?.name ?? ""}” is` : "These files together are";
      return { problem: `${what} ${bytes(total)}, and a program can be ${bytes(MAX_OPENED)} at most.` };
    }
    let entries: readonly Entry[];
    try {
      entries = await Promise.all(
        files.map(async (file) => ({ name: file.name, content: new Uint8Array(await file.arrayBuffer()) })),
      );
    } catch {
      return { problem: "The browser could not read what was opened. It may have been moved or changed meanwhile." };
    }
    const [only] = entries;
    let title: string | undefined;
    if (only && entries.length === 1) {
      const { isZip, readZip } = await import("./lib/zip");
      if (isZip(only)) {
        const unpacked = readZip(only.content, MAX_ENTRIES, MAX_ARCHIVE);
        if (!unpacked) return { problem: `“${only.name}” can't be unpacked: it is damaged, or holds more than a program can.` };
        entries = unpacked;
        title = only.name.replace(/\.zip$/i, "");
      }
    }
    return openFiles(entries, title, this.#events.languages, this.#events.language());
  }
}

/** From now on nothing that is dropped beside the fields leads away from the page. */
export function refuseDrops(): void {
  window.addEventListener("dragover", refuse);
  window.addEventListener("drop", refuse);
}

/** A link that is dropped beside a field would be gone to, and the page with it. */
function refuse(event: DragEvent): void {
  const { target } = event;
  const files = event.dataTransfer?.types.includes("Files");
  if (event.defaultPrevented || (!files && target instanceof Element && target.closest("input, textarea, [contenteditable=true]"))) return;
  event.preventDefault();
  if (event.dataTransfer) event.dataTransfer.dropEffect = "none";
}
