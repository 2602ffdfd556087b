// node server.mjs DIRECTORY [CONFIGURATION]
// ClickHouse's HTTP interface over its engine in this process, enough for its .NET driver. Prints the port that it listens on.
// One query at a time: this is for what queries mean, and not for how fast they are.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import chdb from 'chdb';

const directory = process.argv[2];
const files = join(directory, 'files');
mkdirSync(files, { recursive: true });
const connectionArgs = process.argv[3] ? [`--config-file=${process.argv[3]}`] : [];
const session = new chdb.Session(join(directory, 'data'), { connectionArgs });
const settings = new Set(session.query('SELECT name FROM system.settings', 'TSV').trim().split('\n'));
let queue = Promise.resolve();
let count = 0;

const server = createServer((request, response) => {
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    queue = queue.then(() => answer(request, response, Buffer.concat(parts))).catch((error) => response.destroy(error));
  });
});

async function answer(request, response, sent) {
  const url = new URL(request.url, 'http://localhost');
  if (url.pathname === '/ping') {
    response.end('Ok.\n');
    return;
  }

  const format = request.headers['x-clickhouse-format'] ?? url.searchParams.get('default_format') ?? 'TabSeparated';
  try {
    const { query, data, parameters } = await read(request, url.searchParams, sent);
    const set = [...url.searchParams].filter(([name]) => settings.has(name)).map(([name, value]) => `${name} = ${text(value)}`);
    if (url.searchParams.get('database')) await session.queryAsync(`USE \`${url.searchParams.get('database')}\``);
    const result = data ? await insert(query, data) : await run(query, parameters, set, format);
    response.setHeader('X-ClickHouse-Summary', '{}');
    response.setHeader('X-ClickHouse-Format', format);
    response.setHeader('X-ClickHouse-Timezone', 'UTC');
    response.setHeader('X-ClickHouse-Server-Display-Name', 'chdb');
    response.end(result);
  } catch (error) {
    const code = error.clickhouseCode ?? 1;
    response.statusCode = code === 60 || code === 81 ? 404 : 500;
    response.setHeader('X-ClickHouse-Exception-Code', code);
    response.end(String(error.message).startsWith('Code:') ? error.message : `Code: ${code}. ${error.message}`);
  }
}

// What was sent is the query, or what it inserts, or a form with the query and its parameters.
async function read(request, search, sent) {
  const parameters = {};
  for (const [name, value] of search) if (name.startsWith('param_')) parameters[name.slice(6)] = value;
  let query = search.get('query') ?? '';
  let body = await unpacked(request, sent);
  const boundary = /^multipart\/form-data.*boundary="?([^";]+)/.exec(request.headers['content-type'] ?? '')?.[1];
  if (boundary) {
    for (const part of body.toString('latin1').split(`--${boundary}`)) {
      const [, name, value] = /name="?([^";\r\n]+)"?[\s\S]*?\r\n\r\n([\s\S]*)\r\n$/.exec(part) ?? [];
      const decoded = value === undefined ? undefined : Buffer.from(value, 'latin1').toString('utf8');
      if (name === 'query') query = decoded;
      else if (name?.startsWith('param_')) parameters[name.slice(6)] = decoded;
    }

    return { query, parameters };
  }

  if (query) return { query, parameters, data: body.length > 0 ? body : undefined };
  // An INSERT with its data after the line that names their format.
  const start = /^\s*INSERT\s+INTO[\s\S]*?FORMAT\s+(\w+)[ \t]*\n?/i.exec(body.toString('latin1', 0, Math.min(body.length, 4096)));
  return start && body.length > start[0].length && !/VALUES/i.test(start[0])
    ? { query: start[0], parameters, data: body.subarray(start[0].length) }
    : { query: body.toString('utf8'), parameters };
}

async function unpacked(request, sent) {
  const encoding = request.headers['content-encoding'];
  if (encoding === 'gzip') return gunzipSync(sent);
  if (encoding !== 'zstd') return sent;
  // Node has no zstd, and the engine does.
  return withFile('.zst', sent, async (file) =>
    Buffer.from((await session.queryAsync(`SELECT * FROM file('${file}', 'RawBLOB')`, { format: 'RawBLOB' })).bytes()),
  );
}

async function insert(query, data) {
  const [, table, list = '', format] = /^\s*INSERT\s+INTO\s+(?:TABLE\s+)?([^\s(]+)\s*(\([^)]*\))?[\s\S]*?FORMAT\s+(\w+)/i.exec(query);
  const rows = (await session.queryAsync(`DESCRIBE TABLE ${table}`, { format: 'JSONEachRow' })).text().trim().split('\n');
  const types = new Map(rows.map((row) => JSON.parse(row)).map((column) => [column.name, column.type]));
  const columns = list ? list.slice(1, -1).split(',').map((column) => column.trim().replaceAll('`', '')) : [...types.keys()];
  const shape = columns.map((column) => `\`${column}\` ${types.get(column)}`).join(', ');
  await withFile('', data, (file) =>
    session.queryAsync(`INSERT INTO ${table} ${list} SELECT * FROM file('${file}', '${format}', ${text(shape)})`),
  );
  return Buffer.alloc(0);
}

async function run(query, parameters, set, format) {
  const selects = /^\s*(SELECT|WITH|SHOW|DESC|EXISTS|EXPLAIN|CHECK)/i.test(query);
  const whole = selects && set.length > 0 ? query.replace(/;?\s*(\bFORMAT\s+\w+\s*)?$/i, (end) => `\nSETTINGS ${set.join(', ')} ${end}`) : query;
  const result = await session.queryAsync(bound(whole, parameters), { format });
  return Buffer.from(result.bytes());
}

// Parameters come as ClickHouse writes them: texts with escapes, everything else as it is in a text.
function bound(query, parameters) {
  return query.replace(/\{(\w+):([^{}]+)\}/g, (whole, name, type) =>
    parameters[name] === undefined ? whole
    : type === 'String' ? text(unescaped(parameters[name]))
    : `CAST(${text(parameters[name])}, ${text(type)})`);
}

const escapes = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', 0: '\0' };
const unescaped = (value) => value.replace(/\\(.)/gs, (_, letter) => escapes[letter] ?? letter);

async function withFile(suffix, content, use) {
  const file = join(files, `${count++}${suffix}`);
  writeFileSync(file, content);
  try {
    return await use(file);
  } finally {
    rmSync(file);
  }
}

const text = (value) => `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;

// As long as ClickHouse does. Where the machine is busy, the five seconds of Node end while a request is on its way.
server.keepAliveTimeout = 30_000;
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.on('SIGTERM', () => {
  session.close();
  process.exit(0);
});
