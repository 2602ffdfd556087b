// The public HTTP API, and nothing else.

import { credential, setCredential } from './session.js';

/** A refusal of the service (RFC 9457). */
export class Refused extends Error {
  /**
   * @param {number} status
   * @param {{ code?: string, detail?: string, errors?: Record<string, string[]>, trace_id?: string }} problem
   * @param {number | null} retryAfter In seconds.
   */
  constructor(status, problem, retryAfter) {
    super(problem.detail ?? `The service answered ${status}.`);
    this.status = status;
    this.code = problem.code ?? '';
    this.errors = problem.errors ?? {};
    this.traceId = problem.trace_id;
    this.retryAfter = retryAfter;
  }
}

/** The service could not be reached. */
export class Unreachable extends Error {}

// Also where the page is not in a secure context, as on another machine without HTTPS.
const uuid = () =>
  [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');

// The key of a request of which nobody knows yet what became of it, so that it acts once if it is sent again.
const open = new Map();

/**
 * @param {string} method
 * @param {string} path Below /api/v1, or an absolute path.
 * @param {{ body?: unknown, etag?: string, signal?: AbortSignal, authorization?: string | null }} [options]
 */
export const send = async (method, path, { body, etag, signal, authorization = credential() } = {}) => {
  const headers = new Headers({ Accept: 'application/json' });
  if (authorization) headers.set('Authorization', authorization);
  if (body !== undefined) headers.set('Content-Type', 'application/json');
  if (etag) headers.set('If-Match', etag);
  const what = `${path} ${JSON.stringify(body ?? null)}`;
  if (method === 'POST') {
    if (!open.has(what)) open.set(what, uuid());
    headers.set('Idempotency-Key', open.get(what));
  }
  let response;
  try {
    response = await fetch(path.startsWith('/') ? path : `/api/v1/${path}`, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Unreachable('The service cannot be reached. It is asked again in a moment.');
  }
  if (response.status < 500) open.delete(what);
  const text = await response.text();
  let json = null;
  try {
    json = text ? JSON.parse(text) : null;
  } catch {
    json = null;
  }
  if (!response.ok) {
    if (response.status === 401 && authorization && authorization === credential()) setCredential(null);
    throw new Refused(response.status, json ?? {}, Number(response.headers.get('Retry-After')) || null);
  }
  return { json, etag: response.headers.get('ETag') };
};

/** @param {string} path @param {AbortSignal} [signal] */
export const get = async (path, signal) => (await send('GET', path, { signal })).json;

/** @param {string} path @param {unknown} [body] */
export const post = async (path, body) => (await send('POST', path, { body })).json;

/** @param {string} path @param {unknown} body @param {string} [etag] */
export const patch = async (path, body, etag) => (await send('PATCH', path, { body, etag })).json;

/** @param {string} path */
export const remove = async (path) => (await send('DELETE', path)).json;

/**
 * All pages of a list.
 * @param {string} path @param {AbortSignal} [signal]
 */
export const all = async (path, signal) => {
  const found = [];
  for (let page = 1; ; page++) {
    const part = await get(`${path}${path.includes('?') ? '&' : '?'}page_size=100&page=${page}`, signal);
    found.push(...part.results);
    if (!part.next || page >= 20) return found;
  }
};
