import { html } from '../lib/preact.js';
import { useRoute } from '../core/router.js';
import { useData } from '../core/use-data.js';
import { useSearch } from '../core/use-search.js';
import { Loaded } from './states.js';
import { Pages } from './tabs.js';

const SIZE = 50;

/**
 * A list with a search, whose page and text stand in the address.
 * @param {{ title: string, path: string, action?: unknown, hasSearch?: boolean, empty: unknown, head: string[],
 *   row: (item: any, reload: () => void) => unknown }} props
 */
export const ListPage = ({ title, path, action = null, hasSearch = true, empty, head, row }) => {
  const { query } = useRoute();
  const [text, setText] = useSearch();
  const [q, page] = [query.get('q') ?? '', Number(query.get('page') ?? 1)];
  const list = useData(`${path}?${new URLSearchParams({ page: String(page), page_size: String(SIZE), ...(q && { q }) })}`);
  const href = (n) => {
    const next = new URLSearchParams(query);
    next.set('page', String(n));
    return `${location.pathname}?${next}`;
  };
  return html`
    <div class="page-head"><h1>${title}</h1>${action}</div>
    ${hasSearch &&
    html`
      <div class="inline filter"><div class="field">
        <label class="hidden" for="q">Search</label>
        <input id="q" type="search" placeholder="Search by name" value=${text} onInput=${(event) => setText(event.target.value)} />
      </div></div>
    `}
    <div class="card flush">
      <${Loaded} of=${list} lines=${6}>
        ${(data) =>
          data.results.length === 0
            ? empty
            : html`
                <div class="scroll" tabindex="0" role="group" aria-label=${title}>
                  <table class="lined">
                    <caption class="hidden">${title}</caption>
                    <thead><tr>${head.map((one) => html`<th key=${one} scope="col">${one || html`<span class="hidden">Actions</span>`}</th>`)}</tr></thead>
                    <tbody>${data.results.map((item) => row(item, list.reload))}</tbody>
                  </table>
                </div>
              `}
      <//>
    </div>
    ${list.data && html`<${Pages} count=${list.data.count} page=${page} size=${SIZE} href=${href} />`}
  `;
};
