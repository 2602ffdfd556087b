// Light, dark, or as the system has it.

const KEY = 'experiments.theme';

export const theme = () => localStorage.getItem(KEY) ?? 'system';

/** @param {string} value */
export const setTheme = (value) => {
  if (value === 'system') {
    localStorage.removeItem(KEY);
    delete document.documentElement.dataset.theme;
  } else {
    localStorage.setItem(KEY, value);
    document.documentElement.dataset.theme = value;
  }
};

setTheme(theme());
