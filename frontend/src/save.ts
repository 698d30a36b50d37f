/** Hands the person files, as downloads. */

import type { Program } from "./lib/program";
import type { Entry } from "./lib/zip";

export function saveFile(name: string, content: BlobPart, type: string): void {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The click has started the download; the content need not stay in memory after it.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** A name that file systems take, of one that anybody may have given. */
export function safeFileName(name: string): string {
  const safe = name.replace(/[\p{C}\\/:*?"<>|]+/gu, " ").trim().replace(/^\.+|\.+$/g, "");
  return safe === "" ? "program" : safe;
}

/** One file as it is, several as a zip file. */
export async function saveFiles(name: string, files: readonly Entry[]): Promise<void> {
  const { makeZip } = await import("./lib/zip");
  saveFile(`${safeFileName(name)}.zip`, makeZip(files), "application/zip");
}

export async function saveProgram({ name, project: { files } }: Program): Promise<void> {
  const [main] = files;
  if (files.length === 1 && main) {
    saveFile(main.name.split("/").at(-1) ?? "", main.text, "text/plain;charset=utf-8");
  } else {
    const encoder = new TextEncoder();
    await saveFiles(name, files.map((file) => ({ name: file.name, content: encoder.encode(file.text) })));
  }
}
