// Owns the light run-time checks of what the server answers: enough that an answer of another shape becomes an error that
// names the place, instead of `undefined` on the screen. It does not validate values, only shapes.

export class ShapeError extends Error {
  override name = 'ShapeError';
}

export type Check<T> = (value: unknown, path: string) => T;
export type Checked<C> = C extends Check<infer T> ? T : never;

function kind(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'an array' : typeof value;
}

function fail(expected: string, value: unknown, path: string): never {
  throw new ShapeError(`expected ${expected} at ${path}, got ${kind(value)}`);
}

export const string: Check<string> = (value, path) => (typeof value === 'string' ? value : fail('a string', value, path));
export const number: Check<number> = (value, path) => (typeof value === 'number' ? value : fail('a number', value, path));
export const boolean: Check<boolean> = (value, path) => (typeof value === 'boolean' ? value : fail('a boolean', value, path));
export const unknown: Check<unknown> = (value) => value;

export function array<T>(of: Check<T>): Check<T[]> {
  return (value, path) => {
    if (!Array.isArray(value)) return fail('an array', value, path);
    return value.map((item, i) => of(item, `${path}[${i}]`));
  };
}

/** Checks only the first element: for long arrays of one kind, such as the samples of a series. */
export function uniformArray<T>(of: Check<T>): Check<T[]> {
  return (value, path) => {
    if (!Array.isArray(value)) return fail('an array', value, path);
    if (value.length > 0) of(value[0], `${path}[0]`);
    return value as T[];
  };
}

export function pair<A, B>(a: Check<A>, b: Check<B>): Check<[A, B]> {
  return (value, path) => {
    if (!Array.isArray(value) || value.length !== 2) return fail('a pair', value, path);
    return [a(value[0], `${path}[0]`), b(value[1], `${path}[1]`)];
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function record<T>(of: Check<T>): Check<Record<string, T>> {
  return (value, path) => {
    if (!isObject(value)) return fail('an object', value, path);
    const out: Record<string, T> = {};
    for (const [key, item] of Object.entries(value)) out[key] = of(item, `${path}.${key}`);
    return out;
  };
}

/** Absent and null both mean the fallback: Go servers write empty slices as null. */
export function optional<T>(of: Check<T>, fallback: T): Check<T> {
  return (value, path) => (value === undefined || value === null ? fallback : of(value, path));
}

export function object<S extends Record<string, Check<unknown>>>(shape: S): Check<{ [K in keyof S]: Checked<S[K]> }> {
  return (value, path) => {
    if (!isObject(value)) return fail('an object', value, path);
    const out: Record<string, unknown> = {};
    for (const key of Object.keys(shape)) out[key] = shape[key]!(value[key], `${path}.${key}`);
    return out as { [K in keyof S]: Checked<S[K]> };
  };
}

export function oneOf<const T extends string>(...allowed: T[]): Check<T> {
  return (value, path) =>
    allowed.includes(value as T) ? (value as T) : fail(`one of ${allowed.join(', ')}`, value, path);
}
