/** What the help says about the server's limits. */

import { byId, textElement } from "./dom";
import { binaryBytes, duration } from "./lib/format";
import type { Limits } from "./lib/status";

export function describeLimits({ memoryBytes, executionTimeout, idleTimeout, outputBytes }: Limits): void {
  const facts = [
    executionTimeout !== undefined && `A program may run for ${duration(executionTimeout)}.`,
    idleTimeout !== undefined && `It is ended after ${duration(idleTimeout)} without input and output.`,
    memoryBytes !== undefined && `It may use ${binaryBytes(memoryBytes)} of memory.`,
    outputBytes !== undefined && `It may print ${binaryBytes(outputBytes)}.`,
  ];
  const words = facts.filter((fact) => fact !== false).join(" ");
  if (words !== "") byId("facts", HTMLElement).prepend(textElement("li", words));
}
