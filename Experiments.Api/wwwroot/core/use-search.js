import { useEffect, useRef, useState } from '../lib/preact.js';
import { setQuery, useRoute } from './router.js';
import { useSettled } from './use-data.js';

/**
 * The text of a search box, which stands in the address as `q` once nobody types any more.
 * @returns {[string, (text: string) => void]}
 */
export const useSearch = () => {
  const asked = useRoute().query.get('q') ?? '';
  const [text, setText] = useState(asked);
  // The back button and links change it, too.
  const own = useRef(asked);
  useEffect(() => {
    if (asked !== own.current) setText((own.current = asked));
  }, [asked]);
  const settled = useSettled(text);
  useEffect(() => {
    if (settled === text && settled !== (new URLSearchParams(location.search).get('q') ?? '')) {
      own.current = settled;
      setQuery({ q: settled, page: null }, { replace: true });
    }
  }, [settled]);
  return [text, setText];
};
