// Runs before anything else, in browsers of any age: the first paint has the colours that somebody chose, and a
// browser that can't run the page says so instead of showing buttons that do nothing.
(function () {
  var root = document.documentElement;
  try {
    var theme = localStorage.getItem("trio-exec:theme");
    if (theme === '"light"' || theme === '"dark"') root.setAttribute("data-theme", theme.slice(1, -1));
    if (localStorage.getItem("trio-exec:terminal") === '"page"') root.setAttribute("data-terminal", "page");
  } catch (error) {
    // No storage, no choice to restore.
  }
  var usable =
    "noModule" in document.createElement("script") &&
    window.CSS &&
    CSS.supports("color", "light-dark(#000, #fff)") &&
    typeof HTMLElement.prototype.showPopover === "function" &&
    typeof CompressionStream === "function" &&
    typeof String.prototype.toWellFormed === "function" &&
    "adoptedStyleSheets" in document;
  if (!usable) root.className += " old";
})();
