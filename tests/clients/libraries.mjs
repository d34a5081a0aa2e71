// Reads vectors from standard input and has the packages from npm judge them: a JSON object of names by package.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(`${process.argv[2]}/`);
const pieces = [];
for await (const piece of process.stdin) pieces.push(piece);
const vectors = JSON.parse(Buffer.concat(pieces));

const passed = {};
for (const name of ["standardwebhooks", "svix"]) {
  const { Webhook } = await import(pathToFileURL(require.resolve(name))); // one is CommonJS, the other is not
  passed[name] = vectors.filter((vector) => vector.secrets.some((secret) => fits(Webhook, secret, vector)));
  passed[name] = passed[name].map((vector) => vector.name);
}
console.log(JSON.stringify(passed));

function fits(Webhook, secret, vector) {
  try {
    new Webhook(secret).verify(Buffer.from(vector.body, "base64").toString(), vector.headers);
    return true;
  } catch (error) {
    return error instanceof SyntaxError; // it was verified, and then it was no JSON
  }
}
