import { defineConfig, type Plugin } from "vite";

/** It calls pure what binds its keys as it is loaded, and whoever takes that at its word leaves them out. */
const keepEmacsKeys: Plugin = {
  name: "keep-emacs-keys",
  transform: (code, id) => (id.includes("@replit/codemirror-emacs") ? code.replaceAll("/*@__PURE__*/", "") : undefined),
};

export default defineConfig({
  plugins: [keepEmacsKeys],
  // Relative addresses: the page may live below any path of a reverse proxy.
  base: "./",
  build: {
    outDir: "../trio_exec/static",
    emptyOutDir: true,
    target: "es2022",
    // The oldest that public/first.js lets in. They know light-dark(), which can't be made simpler: it is used by
    // variables, whose value depends on where they are used.
    cssTarget: ["chrome123", "firefox125", "safari17.5"],
    rolldownOptions: { input: ["index.html", "docs.html", "embed.html"] },
    // Every browser that has what the page needs has module preloading too.
    modulePreload: { polyfill: false },
    // The content security policy allows no data: URLs except for images.
    assetsInlineLimit: 0,
    // Editor and terminal are needed at once; tools/budget.js watches what they weigh compressed.
    chunkSizeWarningLimit: 900,
  },
});
