/** What of JSON schemas the API's descriptions use, put into words. */

export interface Schema {
  $ref?: string;
  type?: string;
  title?: string;
  description?: string;
  const?: unknown;
  enum?: unknown[];
  default?: unknown;
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: Schema | boolean;
  patternProperties?: Record<string, Schema>;
  anyOf?: Schema[];
  allOf?: Schema[];
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  minItems?: number;
  maxItems?: number;
  maxLength?: number;
  maxProperties?: number;
}

/** The name of the schema that a reference is to. */
export function nameOf(reference: string): string {
  return reference.slice(reference.lastIndexOf("/") + 1);
}

/** Names of all schemas that this one refers to directly, each once. */
export function references(schema: Schema): string[] {
  const found = new Set<string>();
  const visit = (it: Schema): void => {
    if (it.$ref) found.add(nameOf(it.$ref));
    for (const part of [...(it.anyOf ?? []), ...(it.allOf ?? []), ...Object.values(it.properties ?? {})]) visit(part);
    if (it.items) visit(it.items);
    for (const part of Object.values(it.patternProperties ?? {})) visit(part);
    if (typeof it.additionalProperties === "object") visit(it.additionalProperties);
  };
  visit(schema);
  return [...found];
}

/** A schema's type, in a few words: "list of strings", "integer from 1 to 1000". */
export function typeOf(schema: Schema): string {
  if (schema.$ref) return nameOf(schema.$ref);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" or ");
  if (schema.anyOf) return schema.anyOf.filter((it) => it.type !== "null").map(typeOf).join(" or ");
  if (schema.allOf) return schema.allOf.map(typeOf).filter(Boolean).join(", ");
  const bounds = boundsOf(schema);
  switch (schema.type) {
    case "array":
      return `list of ${schema.items ? typeOf(schema.items) : "anything"}${bounds}`;
    case "object": {
      const values = Object.values(schema.patternProperties ?? {});
      if (typeof schema.additionalProperties === "object") values.push(schema.additionalProperties);
      return values.length > 0 ? `object of ${values.map(typeOf).join(" or ")}${bounds}` : "object";
    }
    default:
      return `${schema.type ?? ""}${bounds}`;
  }
}

function boundsOf(schema: Schema): string {
  const parts: string[] = [];
  if (schema.minimum !== undefined) parts.push(`from ${schema.minimum}`);
  if (schema.exclusiveMinimum !== undefined) parts.push(`above ${schema.exclusiveMinimum}`);
  if (schema.maximum !== undefined) parts.push(`to ${schema.maximum}`);
  if (schema.minItems !== undefined) parts.push(`${schema.minItems} at least`);
  const most = schema.maxItems ?? schema.maxProperties ?? schema.maxLength;
  if (most !== undefined) parts.push(`${most} at most`);
  return parts.length > 0 ? `, ${parts.join(" ")}` : "";
}
