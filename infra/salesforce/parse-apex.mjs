// Parses the Apex classes, which only an org can compile: node parse-apex.mjs FOLDER prints how many there are.
import { ApexParserFactory, ThrowingErrorListener } from "@apexdevtools/apex-parser";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

const [folder] = process.argv.slice(2);
const classes = readdirSync(folder).filter((name) => name.endsWith(".cls"));
for (const name of classes) {
  const parser = ApexParserFactory.createParser(readFileSync(join(folder, name), "utf8"));
  parser.removeErrorListeners();
  parser.addErrorListener(new ThrowingErrorListener());
  try {
    parser.compilationUnit();
  } catch (error) {
    console.error(`${name}: ${error}`);
    process.exitCode = 1;
  }
}
console.log(`parsed ${classes.length} classes`);
