// The address holds the whole state of a page: environment, page, tab, filters. So every view can be linked, and the back button works.

import { useEffect, useState } from '../lib/preact.js';

const ROOT = '/app/';
const listeners = new Set();

const read = () => ({
  parts: location.pathname.slice(ROOT.length).split('/').filter(Boolean).map(decodeURIComponent),
  query: new URLSearchParams(location.search),
});

const changed = () => listeners.forEach((listener) => listener(read()));
addEventListener('popstate', changed);

/**
 * The address of a page.
 * @param {(string | number)[]} parts
 * @param {Record<string, string | number | string[] | null | undefined>} [query] Members without a value are left out.
 */
export const to = (parts, query = {}) => {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== null && one !== undefined && one !== '') search.append(name, String(one));
    }
  }
  const text = search.toString();
  return ROOT + parts.map((part) => encodeURIComponent(String(part))).join('/') + (text ? `?${text}` : '');
};

/** @param {string} address @param {{ replace?: boolean }} [options] */
export const go = (address, { replace = false } = {}) => {
  if (address === location.pathname + location.search) return;
  history[replace ? 'replaceState' : 'pushState'](null, '', address);
  changed();
};

/** Changes the query of the page that is shown. */
export const setQuery = (changes, options) => {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    query.delete(name);
    if (value !== null && value !== undefined && value !== '') query.set(name, String(value));
  }
  const text = query.toString();
  go(location.pathname + (text ? `?${text}` : ''), options);
};

export const useRoute = () => {
  const [route, setRoute] = useState(read);
  useEffect(() => {
    listeners.add(setRoute);
    return () => listeners.delete(setRoute);
  }, []);
  return route;
};

// Links within the pages change the address without loading anything again.
addEventListener('click', (event) => {
  const target = /** @type {Element} */ (event.target);
  const link = target.closest?.('a[href]');
  if (!link || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
  const href = link.getAttribute('href') ?? '';
  if (!href.startsWith(ROOT) || link.hasAttribute('download') || link.getAttribute('target')) return;
  event.preventDefault();
  go(href);
  if (!link.closest('[role=tablist]') && !link.closest('.keep')) scrollTo(0, 0);
});
