import type { EvaluationContext, Hook, TrackingEventDetails } from '@openfeature/core';

export interface TrackingOptions {
  /** The address of Experiments, for example `https://experiments.example.com`. */
  baseUrl: string;
  /** The public key of the environment. */
  environmentKey: string;
  /** After how many milliseconds at the latest events are sent; 1000 by default. */
  flushInterval?: number;
  /** Used instead of the global one. */
  fetch?: typeof fetch;
}

export interface Tracking {
  hooks: Hook[];
  /** Sends an event. `value` is the value that metrics use, and the other members are its metadata. */
  track(event: string, context?: EvaluationContext, details?: TrackingEventDetails): void;
  /** Sends what waits, and ends when it has arrived or has been given up. */
  flush(): Promise<void>;
  onClose(): Promise<void>;
}

/**
 * Gives a provider `track()`, and sends an exposure whenever it evaluates a flag of a running experiment: once for each identity,
 * experiment and variant. Works with providers of `@openfeature/server-sdk` and of `@openfeature/web-sdk`.
 */
export function withTracking<Provider extends object>(
  provider: Provider,
  options: TrackingOptions,
): Provider & Tracking;
