/** The reference of the API, made of its own descriptions: text only, never markup. */

import { textElement } from "./dom";
import { nameOf, references, typeOf, type Schema } from "./lib/schema";

interface Parameter {
  name: string;
  in: string;
  description: string;
  schema: Schema;
}

interface Content {
  content: Record<string, { schema: Schema }>;
}

interface Operation {
  operationId: string;
  summary: string;
  parameters?: Parameter[];
  requestBody?: Content;
  responses: Record<string, Content & { description: string }>;
}

interface Message {
  name: string;
  summary: string;
  payload: Schema;
}

interface Channel {
  address: string;
  summary: string;
  description: string;
  parameters: Record<string, { description: string }>;
  bindings: { ws: { query: Schema } };
}

type Schemas = Record<string, Schema>;

interface OpenAPI {
  info: { version: string; description: string };
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Schemas };
}

interface AsyncAPI {
  info: { description: string };
  channels: Record<string, Channel>;
  operations: Record<string, { action: string; channel: { $ref: string }; messages: { $ref: string }[] }>;
  components: { messages: Record<string, Message>; schemas: Schemas };
}

async function load<T>(path: string): Promise<T> {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return (await response.json()) as T;
}

function table(head: string[], rows: (Node | string)[][]): HTMLElement {
  const element = document.createElement("table");
  const header = element.createTHead().insertRow();
  for (const text of head) {
    const cell = textElement("th", text);
    cell.scope = "col";
    header.append(cell);
  }
  const body = element.createTBody();
  for (const row of rows) {
    const line = body.insertRow();
    for (const cell of row) line.insertCell().append(cell);
  }
  const scrolls = document.createElement("div");
  scrolls.className = "scrolls";
  scrolls.tabIndex = 0;
  scrolls.append(element);
  return scrolls;
}

/** A schema's fields, and behind them those of the schemas that it is made of. */
function fields(schema: Schema, schemas: Schemas, above: string[] = []): Node[] {
  const whole = schema.$ref ? schemas[nameOf(schema.$ref)] : undefined;
  if (whole && schema.$ref) return fields(whole, schemas, [...above, nameOf(schema.$ref)]);
  const nodes: Node[] = [];
  if (schema.properties) {
    const rows = Object.entries(schema.properties).map(([name, field]) => [
      textElement("code", name),
      typeOf(field),
      [schema.required?.includes(name) ? "Required." : "", field.description ?? ""].filter(Boolean).join(" "),
    ]);
    nodes.push(table(["field", "type", "meaning"], rows));
  }
  for (const name of references(schema)) {
    const part = schemas[name];
    if (!part || above.includes(name)) continue;
    const details = document.createElement("details");
    const summary = textElement("summary", name);
    if (part.description) summary.append(textElement("span", ` ${part.description.split("\n")[0] ?? ""}`, "muted"));
    details.append(summary, ...fields(part, schemas, [...above, name]));
    nodes.push(details);
  }
  return nodes;
}

function codesOf(schema: Schema): string[] {
  const own = schema.properties?.["code"]?.enum ?? [];
  return [...own.map(String), ...[...(schema.anyOf ?? []), ...(schema.allOf ?? [])].flatMap(codesOf)];
}

function operation(method: string, path: string, it: Operation, schemas: Schemas): HTMLElement {
  const article = document.createElement("article");
  article.id = it.operationId;
  const heading = document.createElement("h3");
  heading.append(textElement("span", method.toUpperCase(), "method"), textElement("span", path, "path"));
  article.append(heading, textElement("p", `${it.summary}.`));
  if (it.parameters?.length) {
    const rows = it.parameters.map((one) => [textElement("code", one.name), one.in, typeOf(one.schema), one.description]);
    article.append(textElement("h4", "Parameters"), table(["name", "in", "type", "meaning"], rows));
  }
  if (it.requestBody) {
    article.append(textElement("h4", "Request"));
    for (const { schema } of Object.values(it.requestBody.content)) article.append(...fields(schema, schemas));
  }
  const failures: (Node | string)[][] = [];
  for (const [status, answer] of Object.entries(it.responses)) {
    const contents = Object.entries(answer.content);
    const codes = contents.flatMap(([, { schema }]) => codesOf(schema));
    if (codes.length > 0) failures.push([status, codes.join(", "), answer.description]);
    if (Number(status) >= 300) continue;
    article.append(textElement("h4", `Answer ${status}`), textElement("p", answer.description));
    for (const [type, { schema }] of contents) {
      article.append(textElement("p", type, "muted"), ...fields(schema, schemas));
    }
  }
  const refusals = document.createElement("details");
  refusals.append(textElement("summary", "When it can't be answered"), table(["status", "code", "meaning"], failures));
  article.append(refusals);
  return article;
}

function channel(name: string, it: Channel, whole: AsyncAPI): HTMLElement {
  const article = document.createElement("article");
  article.id = name;
  const heading = document.createElement("h3");
  heading.append(textElement("span", "WS", "method"), textElement("span", it.address, "path"));
  article.append(heading, textElement("p", `${it.summary}.`));
  const query = Object.entries(it.bindings.ws.query.properties ?? {});
  const rows = [
    ...Object.entries(it.parameters).map(([parameter, one]) => [textElement("code", parameter), "path", one.description]),
    ...query.map(([parameter, one]) => [textElement("code", parameter), `query: ${typeOf(one)}`, one.description ?? ""]),
  ];
  article.append(textElement("h4", "Parameters"), table(["name", "in", "meaning"], rows));
  for (const { action, channel: of, messages } of Object.values(whole.operations)) {
    if (nameOf(of.$ref) !== name) continue;
    article.append(textElement("h4", action === "send" ? "You send" : "You receive"));
    for (const reference of messages) {
      const message = whole.components.messages[nameOf(reference.$ref)];
      if (!message) continue;
      const details = document.createElement("details");
      const summary = document.createElement("summary");
      summary.append(textElement("code", message.name), textElement("span", ` ${message.summary}`, "muted"));
      const payload = message.payload.$ref ? whole.components.schemas[nameOf(message.payload.$ref)] : message.payload;
      details.append(summary, ...fields(payload ?? {}, whole.components.schemas));
      article.append(details);
    }
  }
  article.append(textElement("p", it.description, "lines muted"));
  return article;
}

function show(openapi: OpenAPI, asyncapi: AsyncAPI): void {
  const reference = document.getElementById("reference");
  const contents = document.getElementById("contents");
  const version = document.getElementById("version");
  if (!reference || !contents || !version) throw new Error("docs.html lacks an element");
  version.textContent = openapi.info.version;
  const entry = (id: string, text: string): void => {
    const link = textElement("a", text, "path");
    link.href = `#${id}`;
    const item = document.createElement("li");
    item.append(link);
    contents.append(item);
  };
  const nodes: Node[] = [textElement("h2", "HTTP"), textElement("p", openapi.info.description)];
  for (const [path, operations] of Object.entries(openapi.paths)) {
    for (const [method, it] of Object.entries(operations)) {
      if (it.operationId.endsWith("WithoutUpgrade")) continue;
      entry(it.operationId, `${method.toUpperCase()} ${path}`);
      nodes.push(operation(method, path, it, openapi.components.schemas));
    }
  }
  nodes.push(textElement("h2", "WebSockets"), textElement("p", asyncapi.info.description));
  for (const [name, it] of Object.entries(asyncapi.channels)) {
    entry(name, `WS ${it.address}`);
    nodes.push(channel(name, it, asyncapi));
  }
  reference.replaceChildren(...nodes);
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

Promise.all([load<OpenAPI>("./openapi.json"), load<AsyncAPI>("./asyncapi.json")]).then(
  ([openapi, asyncapi]) => show(openapi, asyncapi),
  (error: unknown) => {
    const problem = textElement("p", `The descriptions could not be loaded: ${String(error)}. Reload the page to try again.`);
    problem.role = "alert";
    document.getElementById("reference")?.replaceChildren(problem);
  },
);
