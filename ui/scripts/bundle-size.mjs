// Prints the gzipped size of every asset and fails when the first script is over its budget.
import { readdirSync, readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

/** Script that has to arrive before the first paint: DESIGN, "The web UI". */
const FIRST_SCRIPT_LIMIT = 200_000;

const dist = new URL('../dist/', import.meta.url);
const html = readFileSync(new URL('index.html', dist), 'utf8');
const size = (name) => gzipSync(readFileSync(new URL(`assets/${name}`, dist)), { level: 9 }).length;
const first = [...html.matchAll(/(?:src|href)="\/assets\/([^"]+\.js)"/g)].map((match) => match[1]);

const files = readdirSync(new URL('assets', dist)).filter((name) => /\.(js|css)$/.test(name));
const rows = files.map((name) => ({ name, bytes: size(name), first: first.includes(name) })).sort((a, b) => b.bytes - a.bytes);
for (const row of rows) console.log(`${String(row.bytes).padStart(8)} B gzip  ${row.name}${row.first ? '  (first)' : ''}`);

const total = rows.filter((row) => row.first).reduce((sum, row) => sum + row.bytes, 0);
console.log(`first script: ${total} B gzip of ${FIRST_SCRIPT_LIMIT}`);
if (first.length === 0 || total > FIRST_SCRIPT_LIMIT) {
  console.error('cannot accept the bundle: the first script is missing or over its limit');
  process.exit(1);
}
