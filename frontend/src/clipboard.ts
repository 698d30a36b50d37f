/** Copying, where the browser lets a page do it. */

export async function copyText(text: string): Promise<boolean> {
  try {
    // Absent on pages that came over plain http from another machine, whatever its type says.
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
