/** The list of files that the program left, below the screen. */

import { byId, textElement } from "./dom";
import { filesTitle, imageType, omittedWords, type LeftFile, type LeftFiles } from "./lib/files";
import { bytes } from "./lib/format";
import { saveFile, saveFiles } from "./save";

/** Base64 by the browser itself, whatever the size. */
async function dataUrl(content: Uint8Array<ArrayBuffer>, type: string): Promise<string> {
  const reader = new FileReader();
  const done = new Promise((resolve) => reader.addEventListener("loadend", resolve));
  reader.readAsDataURL(new Blob([content], { type }));
  await done;
  return typeof reader.result === "string" ? reader.result : "";
}

/** As an image it is inert, whatever it holds: no script runs, nothing is loaded from elsewhere. */
function preview(file: LeftFile, type: string): HTMLImageElement {
  const image = document.createElement("img");
  image.alt = `What ${file.name} shows`;
  image.addEventListener("error", () => image.remove());
  void dataUrl(file.content, type).then((url) => void (image.src = url));
  return image;
}

function entry(file: LeftFile): HTMLLIElement {
  const item = document.createElement("li");
  const save = textElement("button", "Download", "control quiet small");
  save.type = "button";
  save.setAttribute("aria-label", `Download ${file.name}`);
  // As bytes: a browser that opens what it downloads must not take it for a page of ours.
  save.addEventListener("click", () => saveFile(file.name.split("/").at(-1) ?? "", file.content, "application/octet-stream"));
  const line = document.createElement("div");
  line.append(textElement("span", file.name, "file-name"), textElement("span", bytes(file.content.length), "file-size"), save);
  item.append(line);
  const type = imageType(file);
  if (type !== undefined) item.append(preview(file, type));
  return item;
}

export class LeftFilesList {
  readonly #title = byId("files-title", HTMLElement);
  readonly #list = byId("files-list", HTMLUListElement);
  readonly #omitted = byId("files-omitted", HTMLElement);
  readonly #all = byId("files-all", HTMLButtonElement);
  #files: readonly LeftFile[] = [];

  constructor() {
    this.#all.addEventListener("click", () => void saveFiles("files", this.#files));
  }

  show({ files, omitted }: LeftFiles): void {
    this.#title.textContent = filesTitle(files.length);
    this.#list.replaceChildren(...files.map(entry));
    this.#omitted.textContent = omittedWords(omitted);
    this.#all.hidden = files.length < 2;
    this.#files = files;
  }

  clear(): void {
    this.show({ files: [], omitted: [] });
  }
}
