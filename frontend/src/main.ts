/** Starts the page, also when the server does not answer yet. */

import { ApiError, fetchCatalogue, type Catalogue } from "./api";
import { connectHelp } from "./dialogs";
import { backoff } from "./lib/backoff";
import { Store } from "./lib/storage";
import { Notice } from "./notice";
import { Page } from "./page";
import { connectSplitter } from "./splitter";
import { useConstructedStyles } from "./stylesheets";
import { Theme } from "./theme";

async function catalogue(notice: Notice): Promise<Catalogue> {
  for (let attempt = 0; ; attempt++) {
    try {
      const result = await fetchCatalogue();
      if (attempt > 0) notice.hide();
      return result;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      notice.show(`${error.message} Trying again…`);
      await new Promise((resolve) => setTimeout(resolve, backoff(attempt, Math.random)));
    }
  }
}

// Before anything makes an editor or a terminal.
useConstructedStyles(document);

const kept = new Store(() => localStorage);
const notice = new Notice();
const page = new Page({ kept, tab: new Store(() => sessionStorage) }, notice, new Theme(kept));
connectSplitter(kept);
connectHelp();
void catalogue(notice).then((found) => page.open(found));
