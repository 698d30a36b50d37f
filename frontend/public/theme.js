// Runs before the first paint, so that somebody who chose dark never sees a flash of light.
try {
  const theme = localStorage.getItem("trio-exec:theme");
  if (theme === '"light"' || theme === '"dark"') document.documentElement.dataset.theme = theme.slice(1, -1);
} catch {
  // No storage, no choice to restore.
}
