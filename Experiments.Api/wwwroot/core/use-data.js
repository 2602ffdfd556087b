// Reads from the API while a page is shown: again when asked, every few seconds while something is on its way, and after a failure.

import { useCallback, useEffect, useRef, useState } from '../lib/preact.js';
import { get, Unreachable, Refused } from './api.js';

/**
 * @typedef {object} Data
 * @property {any} data What was read last; null before that.
 * @property {Error | null} error Why it could not be read.
 * @property {boolean} isLoading
 * @property {(fresh?: any) => void} reload Reads it again, or takes what is given for it.
 */

/**
 * @param {string | null} path What to read; nothing while null.
 * @param {{ every?: number | ((data: any) => number | null), read?: (path: string, signal: AbortSignal) => Promise<any> }} [options]
 *   How often to read it again, in milliseconds; and how to read it.
 * @returns {Data}
 */
export const useData = (path, { every, read = get } = {}) => {
  const [state, setState] = useState({ path, data: null, error: null, isLoading: path !== null });
  const [turn, setTurn] = useState(0);
  const options = useRef({ every, read });
  options.current = { every, read };

  useEffect(() => {
    if (path === null) return undefined;
    const abort = new AbortController();
    let timer;
    // What another address has given is not shown for this one.
    setState((last) => (last.path === path ? { ...last, isLoading: true } : { path, data: null, error: null, isLoading: true }));
    const again = (pause) => (timer = setTimeout(() => setTurn((n) => n + 1), pause));
    options.current.read(path, abort.signal).then(
      (data) => {
        if (abort.signal.aborted) return;
        setState({ path, data, error: null, isLoading: false });
        const pause = typeof options.current.every === 'function' ? options.current.every(data) : options.current.every;
        if (pause) again(pause);
      },
      (error) => {
        if (abort.signal.aborted) return;
        setState((last) => ({ ...last, error, isLoading: false }));
        if (error instanceof Unreachable || (error instanceof Refused && (error.status >= 500 || error.status === 429))) {
          again((error instanceof Refused && error.retryAfter ? error.retryAfter : 3) * 1000);
        }
      },
    );
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [path, turn]);

  const reload = useCallback((fresh) => {
    if (fresh !== undefined) setState((last) => ({ ...last, data: fresh, error: null }));
    else setTurn((n) => n + 1);
  }, []);
  return { ...state, data: state.path === path ? state.data : null, reload };
};

/** A value once it has not changed for a moment. */
export const useSettled = (value, pause = 250) => {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), pause);
    return () => clearTimeout(timer);
  }, [value, pause]);
  return settled;
};
