// Reads events from a CSV file into DuckDB, and prints how many milliseconds the plain query over them takes, at best of three.
import { DuckDBInstance } from '@duckdb/node-api';

const instance = await DuckDBInstance.create(':memory:', { threads: '2' });
const connection = await instance.connect();
await connection.run(`CREATE TABLE events AS SELECT * FROM read_csv('${process.argv[2]}', header = false,
  columns = {'identifier': 'VARCHAR', 'event': 'VARCHAR', 'happened': 'TIMESTAMPTZ', 'value': 'VARCHAR'})`);
const times = [];
for (let round = 0; round < 3; round++) {
  const begun = performance.now();
  await (await connection.run(`
    WITH exposed AS (
      SELECT identifier, min(happened) AS happened, min(value) AS arm FROM events WHERE event = '$flag_exposure' GROUP BY 1 HAVING count(DISTINCT value) = 1
    ), measured AS (
      SELECT x.identifier, x.arm, count(v.happened) AS n, COALESCE(sum(v.value::DOUBLE), 0) AS y
      FROM exposed x LEFT JOIN events v ON v.identifier = x.identifier AND v.event = 'purchase' AND v.happened >= x.happened GROUP BY 1, 2
    )
    SELECT arm, count(*), count(*) FILTER (WHERE n > 0), sum(n), sum(n * n), sum(y), sum(y * y) FROM measured GROUP BY 1 ORDER BY 1`)).getRows();
  times.push(performance.now() - begun);
}
console.log(Math.min(...times).toFixed(0));
