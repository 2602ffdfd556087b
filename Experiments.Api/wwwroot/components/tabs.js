import { html } from '../lib/preact.js';

/** Links to parts of a page; each has its own address. */
export const Tabs = ({ label, items, current }) => html`
  <nav class="tabs keep" aria-label=${label}>
    ${items.map(
      ({ key, text, href, mark = null }) => html`
        <a key=${key} href=${href} aria-current=${key === current ? 'page' : null}>${text}${mark !== null && html` ${mark}`}</a>
      `,
    )}
  </nav>
`;

/** Links to the pages of a list. */
export const Pages = ({ count, page, size, href }) => {
  const last = Math.max(1, Math.ceil(count / size));
  return last === 1
    ? null
    : html`
        <nav class="row keep" aria-label="Pages">
          ${page > 1 ? html`<a class="button" href=${href(page - 1)}>Previous</a>` : null}
          <span class="muted">Page ${page} of ${last}</span>
          ${page < last ? html`<a class="button" href=${href(page + 1)}>Next</a>` : null}
        </nav>
      `;
};
