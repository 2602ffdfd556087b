// The parts of Preact and htm that the pages use.
export type Setter<T> = (next: T | ((last: T) => T)) => void;
export function html(strings: TemplateStringsArray, ...values: unknown[]): any;
export function render(what: unknown, into: Element): void;
export function useState<T>(initial: T | (() => T)): [T, Setter<T>];
export function useEffect(effect: () => void | (() => void), inputs?: unknown[]): void;
export function useRef<T>(initial: T): { current: T };
export function useCallback<T>(callback: T, inputs: unknown[]): T;
export function useContext<T>(context: { Provider: unknown; value?: T }): T;
export function createContext<T>(initial: T): { Provider: unknown; value?: T };
