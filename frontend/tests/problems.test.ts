/// <reference types="vite/client" />

import { describe, expect, it } from "vitest";

import cpp from "../../trio_exec/runtimes/cpp/language.toml?raw";
import java from "../../trio_exec/runtimes/java/language.toml?raw";
import javascript from "../../trio_exec/runtimes/javascript/language.toml?raw";
import python from "../../trio_exec/runtimes/python/language.toml?raw";
import { findProblems, mentions, ownFile, type ErrorPatterns } from "../src/lib/problems";

const LANGUAGES = { cpp, java, javascript, python };

/** The patterns as the languages have them: their own files are what the server tells the page of. */
function patternsOf(language: keyof typeof LANGUAGES): ErrorPatterns {
  const toml = LANGUAGES[language];
  const table = /^\[errors\]\n([\s\S]*?)^\[\[/m.exec(toml)?.[1] ?? "";
  const list = (name: string): RegExp[] => {
    const value = new RegExp(`^${name} = \\[([\\s\\S]*?)\\]$`, "m").exec(table)?.[1] ?? "";
    return [...value.matchAll(/'([^'\n]*)'/g)].map(([, pattern = ""]) => new RegExp(pattern.replaceAll("(?P<", "(?<"), "g"));
  };
  return { places: list("places"), messages: list("messages"), innermost: table.includes('"above"') ? "above" : "below" };
}

const first = (language: keyof typeof LANGUAGES, output: string, files: readonly string[]): string => {
  const [problem] = findProblems(output, patternsOf(language), files);
  return problem ? `${problem.file}:${problem.line}:${problem.column ?? ""} ${problem.severity}: ${problem.message}` : "none";
};

describe("Python", () => {
  const files = ["main.py", "helper.py", "pkg/deep.py"];

  it("takes the innermost call in own code", () => {
    const output = `4.0
Traceback (most recent call last):
  File "/workspace/main.py", line 5, in <module>
    print(helper.average([]))
          ^^^^^^^^^^^^^^^^^^
  File "/workspace/helper.py", line 2, in average
    return sum(values) / len(values)
           ~~~~~~~~~~~~^~~~~~~~~~~~~
ZeroDivisionError: division by zero
`;
    expect(first("python", output, files)).toBe("helper.py:2: error: ZeroDivisionError: division by zero");
  });

  it("leaves out frames that are the library's", () => {
    const output = `Traceback (most recent call last):
  File "<frozen runpy>", line 198, in _run_module_as_main
  File "/workspace/pkg/deep.py", line 3, in f
    json.loads("")
  File "/usr/lib/python3.11/json/decoder.py", line 355, in raw_decode
    raise JSONDecodeError("Expecting value", s, err.value) from None
json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)
`;
    expect(first("python", output, files)).toBe(
      "pkg/deep.py:3: error: json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)",
    );
  });

  it("takes the last of several chained ones", () => {
    const output = `Traceback (most recent call last):
  File "/workspace/main.py", line 2, in <module>
ValueError: one

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/workspace/main.py", line 4, in <module>
KeyError
`;
    expect(first("python", output, files)).toBe("main.py:4: error: KeyError");
  });

  it("knows syntax errors", () => {
    const output = `  File "/workspace/main.py", line 1
    print(
         ^
SyntaxError: '(' was never closed
`;
    expect(first("python", output, files)).toBe("main.py:1: error: SyntaxError: '(' was never closed");
  });

  it("finds nothing where there is nothing", () => {
    expect(first("python", "all is well\nFile: main.py\n", files)).toBe("none");
    expect(first("python", 'File "/workspace/other.py", line 1\nError\n', files)).toBe("none");
  });
});

describe("JavaScript", () => {
  const files = ["main.js", "lib/a.mjs"];

  it("takes the innermost call in own code", () => {
    const output = `/workspace/main.js:5
    throw new TypeError("no such thing");
    ^

TypeError: no such thing
    at Array.forEach (<anonymous>)
    at f (/workspace/main.js:5:11)
    at Object.<anonymous> (/workspace/main.js:8:1)
    at Module._compile (node:internal/modules/cjs/loader:1554:14)

Node.js v20.20.2
`;
    expect(first("javascript", output, files)).toBe("main.js:5:11 error: TypeError: no such thing");
  });

  it("knows syntax errors, and files by their address", () => {
    const output = `file:///workspace/lib/a.mjs:3
const = 1;
      ^

SyntaxError: Unexpected token '='
    at wrapSafe (node:internal/modules/cjs/loader:1464:18)
`;
    expect(first("javascript", output, files)).toBe("lib/a.mjs:3: error: SyntaxError: Unexpected token '='");
  });
});

describe("Java", () => {
  const files = ["Main.java", "shop/Cart.java"];

  it("knows what javac says", () => {
    const output = `Main.java:3: warning: [removal] x
Main.java:4: error: ';' expected
        int x = 1
                 ^
1 error
`;
    expect(first("java", output, files)).toBe("Main.java:4: error: ';' expected");
    expect(findProblems(output, patternsOf("java"), files)).toHaveLength(2);
  });

  it("takes the root cause, and the file without its folders", () => {
    const output = `Exception in thread "main" java.lang.RuntimeException: outer
\tat Main.main(Main.java:9)
Caused by: java.lang.ArithmeticException: / by zero
\tat shop.Cart.total(Cart.java:12)
\t... 1 more
`;
    expect(first("java", output, files)).toBe("shop/Cart.java:12: error: java.lang.ArithmeticException: / by zero");
  });
});

describe("C++", () => {
  const files = ["main.cpp", "shape.h"];

  it("puts errors before warnings", () => {
    const output = `shape.h:2:5: warning: unused variable 'x' [-Wunused-variable]
main.cpp: In function 'int main()':
main.cpp:3:20: error: expected ';' before '}' token
/usr/include/c++/14/vector:1:2: error: not ours
main.cpp:9:1: note: to match this '{'
`;
    expect(findProblems(output, patternsOf("cpp"), files).map(({ line }) => line)).toEqual([3, 2]);
  });
});

describe("mentions", () => {
  const patterns = patternsOf("cpp");

  it("covers the address and not the message", () => {
    const line = "main.cpp:3:20: error: expected ';'";
    const [mention] = mentions(line, patterns, ["main.cpp"]);
    expect(line.slice(mention?.start, mention?.end)).toBe("main.cpp:3:20");
  });

  it("leaves very long lines alone", () => {
    expect(mentions(`main.cpp:3:20: error: ${"x".repeat(5000)}`, patterns, ["main.cpp"])).toEqual([]);
  });
});

describe("ownFile", () => {
  it.each([
    ["/workspace/main.py", ["main.py"], "main.py"],
    ["./main.py", ["main.py"], "main.py"],
    ["main.py", ["a/main.py"], "a/main.py"],
    ["main.py", ["a/main.py", "b/main.py"], undefined],
    ["/usr/lib/main.py", ["main.py"], undefined],
    ["/lib/main.py", ["x/lib/main.py"], undefined],
  ])("%s among %j", (said, files, own) => {
    expect(ownFile(said, files)).toBe(own);
  });
});
