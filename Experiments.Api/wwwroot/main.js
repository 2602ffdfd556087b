import './core/theme.js';
import { html, render } from './lib/preact.js';
import { App } from './app.js';

const root = /** @type {HTMLElement} */ (document.getElementById('app'));
root.textContent = '';
render(html`<${App} />`, root);
