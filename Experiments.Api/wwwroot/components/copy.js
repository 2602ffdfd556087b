import { html, useState } from '../lib/preact.js';

/** A button that copies text, and says that it did. */
export const Copy = ({ text, children }) => {
  const [isCopied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(typeof text === 'function' ? text() : text);
    setCopied(true);
    setTimeout(() => setCopied(false), 1600);
  };
  return html`<button type="button" onClick=${copy}><span aria-live="polite">${isCopied ? 'Copied' : children}</span></button>`;
};
