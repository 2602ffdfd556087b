// Who is signed in. An API key is kept for the tab only; so is a token.

const KEY = 'experiments.credential';
const listeners = new Set();

/** @returns {string | null} The value of the Authorization header. */
export const credential = () => sessionStorage.getItem(KEY);

/** @param {string | null} value The value of the Authorization header; null signs out. */
export const setCredential = (value) => {
  if (value) sessionStorage.setItem(KEY, value);
  else sessionStorage.removeItem(KEY);
  listeners.forEach((listener) => listener());
};

/** @param {() => void} listener Called when somebody signs in or out. */
export const onCredential = (listener) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};
