// Something that is done at once, and whose failure must be said.

import { html, useState } from '../lib/preact.js';
import { Failure } from '../components/states.js';

/** @returns {[(act: () => Promise<unknown>) => Promise<void>, unknown]} How to do it, and what to show where it failed. */
export const useAction = () => {
  const [error, setError] = useState(/** @type {Error | null} */ (null));
  const run = async (act) => {
    setError(null);
    try {
      await act();
    } catch (failure) {
      setError(failure);
    }
  };
  return [run, error === null ? null : html`<${Failure} error=${error} />`];
};
