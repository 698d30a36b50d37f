/** Which of the addresses that a program prints may be opened: the web's, and nothing that runs or reads. */

export function safeLink(address: string): string | undefined {
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    return undefined;
  }
  return url.protocol === "http:" || url.protocol === "https:" ? url.href : undefined;
}
