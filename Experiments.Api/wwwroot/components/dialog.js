import { html, useEffect, useRef, useState } from '../lib/preact.js';
import { Failure } from './states.js';

/**
 * A dialog with a form. The browser keeps the focus in it, and Escape closes it.
 * @param {{ title: string, action: string, tone?: string, onSubmit: () => Promise<unknown>, onClose: () => void, children: unknown,
 *   disabled?: boolean }} props
 */
export const Dialog = ({ title, action, tone = 'primary', onSubmit, onClose, children, disabled = false }) => {
  const element = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const [state, setState] = useState({ isBusy: false, error: null });
  useEffect(() => {
    const opener = /** @type {HTMLElement | null} */ (document.activeElement);
    element.current.showModal();
    return () => opener?.focus?.();
  }, []);

  const submit = async (event) => {
    event.preventDefault();
    // It may lie within another form.
    event.stopPropagation();
    setState({ isBusy: true, error: null });
    try {
      await onSubmit();
      onClose();
    } catch (error) {
      setState({ isBusy: false, error });
    }
  };

  return html`
    <dialog ref=${element} aria-labelledby="dialog-title" onClose=${onClose}>
      <form class="stack" onSubmit=${submit}>
        <h2 id="dialog-title">${title}</h2>
        ${children} ${state.error && html`<${Failure} error=${state.error} />`}
        <div class="actions">
          <button type="button" onClick=${onClose}>Cancel</button>
          <button type="submit" class=${tone} disabled=${state.isBusy || disabled}>${state.isBusy ? 'One moment…' : action}</button>
        </div>
      </form>
    </dialog>
  `;
};
