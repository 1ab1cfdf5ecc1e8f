// Answers SQL on a database of DuckDB: a line of JSON with "sql" in, a line with
// "ms" and "rows" (of text, null where there is nothing) or "error" out. The
// database is the first argument.
import { createInterface } from 'node:readline';
import { DuckDBInstance } from '@duckdb/node-api';

const instance = await DuckDBInstance.create(process.argv[2]);
const connection = await instance.connect();

for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    const began = performance.now();
    const result = await connection.runAndReadAll(JSON.parse(line).sql);
    const ms = performance.now() - began;
    const rows = result.getRows().map((row) => row.map((v) => (v === null ? null : String(v))));
    answer = { ms, rows };
  } catch (e) {
    answer = { error: String(e) };
  }
  process.stdout.write(JSON.stringify(answer) + '\n');
}
connection.closeSync();
