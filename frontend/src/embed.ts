/** What other pages show in a frame: leads to the whole page, with the program that the address holds. */

import { byId } from "./dom";

const link = byId("open", HTMLAnchorElement);
link.href = `./${location.hash}`;
