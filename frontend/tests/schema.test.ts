import { describe, expect, it } from "vitest";

import { references, typeOf, type Schema } from "../src/lib/schema";

describe("schemas in words", () => {
  it.each<[Schema, string]>([
    [{ type: "string" }, "string"],
    [{ type: "integer", minimum: 1, maximum: 1000 }, "integer, from 1 to 1000"],
    [{ type: "number", exclusiveMinimum: 0 }, "number, above 0"],
    [{ anyOf: [{ type: "string" }, { $ref: "#/components/schemas/EncodedContent" }, { type: "null" }] }, "string or EncodedContent"],
    [{ type: "array", items: { type: "string" }, maxItems: 256 }, "list of string, 256 at most"],
    [{ type: "object", patternProperties: { "^a": { type: "string" } } }, "object of string"],
    [{ type: "object", additionalProperties: false }, "object"],
    [{ enum: ["exact", "trimmed"] }, '"exact" or "trimmed"'],
    [{ const: "stdout" }, '"stdout"'],
    [{ allOf: [{ $ref: "#/components/schemas/ErrorBody" }, { properties: {} }] }, "ErrorBody"],
  ])("%j", (schema, words) => {
    expect(typeOf(schema)).toBe(words);
  });

  it("finds what a schema is made of, each once", () => {
    const part = { $ref: "#/components/schemas/Part" };
    const schema: Schema = {
      properties: { a: part, b: { type: "array", items: part }, c: { additionalProperties: { $ref: "#/x/Other" } } },
    };
    expect(references(schema)).toEqual(["Part", "Other"]);
  });
});
