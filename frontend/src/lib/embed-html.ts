/** The HTML with which a page shows a program in a frame. */

export interface EmbedOptions {
  /** A colour scheme; "" for the one that visitors have. */
  readonly theme: string;
  readonly run: boolean;
  readonly readOnly: boolean;
}

/** `link` is a link to the program. */
export function embedHtml(link: string, { theme, run, readOnly }: EmbedOptions): string {
  const url = new URL(link);
  const { hash } = url;
  url.hash = "";
  const parts = [hash.slice(1), ...(theme === "" ? [] : [`theme=${theme}`]), ...(run ? ["run=1"] : []), ...(readOnly ? ["readonly=1"] : [])];
  const address = `${new URL("embed", url).href}#${parts.join("&")}`.replaceAll("&", "&amp;").replaceAll('"', "&quot;");
  return `<iframe src="${address}" title="A program to run" width="100%" height="420" loading="lazy" allow="clipboard-write"></iframe>`;
}
