// Makes the CommonJS form of the package from its only source: `npm pack` runs it.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";

const here = new URL(".", import.meta.url);
const read = (name) => readFileSync(new URL(name, here), "utf8");
const names = [];
const source = read("index.js").replace(/^export (const|class|function) (\w+)/gm, (_, kind, name) => {
  names.push(name);
  return `${kind} ${name}`;
});

mkdirSync(new URL("dist/", here), { recursive: true });
writeFileSync(new URL("dist/index.cjs", here), `"use strict";\n${source}\nmodule.exports = { ${names.join(", ")} };\n`);
writeFileSync(new URL("dist/index.d.cts", here), read("index.d.ts"));
