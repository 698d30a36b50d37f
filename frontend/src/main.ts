/** Starts the page, also when the server does not answer yet. */

import { ApiError, fetchCatalogue, KeyNeededError, type Catalogue } from "./api";
import { closeByClickOutside, connectHelp } from "./dialogs";
import { watchKeyboard } from "./keyboard";
import { Key } from "./key";
import { backoff } from "./lib/backoff";
import { Store } from "./lib/storage";
import { refuseDrops } from "./local-files";
import { connectMore } from "./more";
import { Notice } from "./notice";
import { Page } from "./page";
import { Settings } from "./settings";
import { connectSplitter } from "./splitter";
import { useConstructedStyles } from "./stylesheets";

/** Resolves once a key was given. */
async function askUntilGiven(key: Key, notice: Notice, why: string): Promise<void> {
  while (!(await key.ask(why))) {
    await new Promise<void>((resolve) => notice.show("This server needs an API key.", { label: "Give it", run: resolve }));
  }
}

async function catalogue(notice: Notice, key: Key): Promise<Catalogue> {
  for (let attempt = 0; ; attempt++) {
    try {
      const result = await fetchCatalogue();
      if (attempt > 0) notice.hide();
      return result;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error instanceof KeyNeededError) {
        await askUntilGiven(key, notice, error.message);
        continue;
      }
      notice.show(`${error.message} Trying again…`);
      await new Promise((resolve) => setTimeout(resolve, backoff(attempt, Math.random)));
    }
  }
}

// Before anything makes an editor or a terminal.
useConstructedStyles(document);

const kept = new Store(() => localStorage);
const notice = new Notice();
const key = new Key(kept);
const page = new Page({ kept, tab: new Store(() => sessionStorage) }, notice, new Settings(kept), key);
connectSplitter(kept);
connectHelp();
refuseDrops();
connectMore();
closeByClickOutside();
watchKeyboard();
void catalogue(notice, key).then((found) => page.open(found));
