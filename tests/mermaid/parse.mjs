// parse.mjs FILE... — exits 0 when Mermaid parses every file as a sequence diagram, and JSON.parse every .json.
import {readFileSync} from 'node:fs';
import {JSDOM} from 'jsdom';

const {window} = new JSDOM('<!doctype html><body></body>');
for (const name of ['window', 'document', 'Option', 'Element', 'HTMLElement', 'Node', 'CSS', 'SVGElement']) {
  const value = name === 'window' ? window : window[name];
  Object.defineProperty(globalThis, name, {value: value ?? {}, configurable: true, writable: true});
}
const {default: mermaid} = await import('mermaid');

let failed = 0;
for (const file of process.argv.slice(2)) {
  const text = readFileSync(file, 'utf8');
  try {
    if (file.endsWith('.json')) {
      JSON.parse(text);
      continue;
    }
    const {diagramType} = await mermaid.parse(text);
    if (diagramType !== 'sequence') throw new Error(`parsed as ${diagramType}`);
  } catch (error) {
    console.error(`${file}: ${error.message}`);
    ++failed;
  }
}
console.log(`${process.argv.length - 2} files, ${failed} refused`);
process.exit(failed === 0 ? 0 : 1);
