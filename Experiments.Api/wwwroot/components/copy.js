import { html, useState } from '../lib/preact.js';

// Without HTTPS there is no clipboard but the old one.
const put = async (text) => {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement('textarea');
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand('copy');
  area.remove();
  return undefined;
};

/** A button that copies text, and says that it did. */
export const Copy = ({ text, children }) => {
  const [isCopied, setCopied] = useState(false);
  const copy = async () => {
    await put(typeof text === 'function' ? text() : text);
    setCopied(true);
    setTimeout(() => setCopied(false), 1600);
  };
  return html`<button type="button" onClick=${copy}><span aria-live="polite">${isCopied ? 'Copied' : children}</span></button>`;
};
