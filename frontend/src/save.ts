/** Hands the person a file, as a download. */

export function saveFile(name: string, content: BlobPart, type: string): void {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The click has started the download; the content need not stay in memory after it.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
