// Owns the transport: one function that asks the server and unwraps Prometheus' envelope. It knows no endpoint.

import { ShapeError, type Check } from './check';

export interface Answer<T> {
  data: T;
  warnings: string[];
  infos: string[];
}

/** What went wrong, in the server's own words where it had any. */
export class ApiError extends Error {
  override name = 'ApiError';
  readonly kind: string;
  readonly status: number;

  constructor(message: string, kind: string, status: number) {
    super(message);
    this.kind = kind;
    this.status = status;
  }
}

export type Params = Record<string, string | number | string[] | undefined>;

/** Longer requests go as a form in the body: some proxies cut addresses at 2 kB. */
const MAX_GET_BYTES = 1_800;

function encode(params: Params): URLSearchParams {
  const out = new URLSearchParams();
  for (const [key, value] of Object.entries(params)) {
    if (value === undefined) continue;
    for (const item of Array.isArray(value) ? value : [value]) out.append(key, String(item));
  }
  return out;
}

async function send(path: string, params: Params, signal?: AbortSignal): Promise<Response> {
  const form = encode(params);
  const text = form.toString();
  try {
    if (text.length > MAX_GET_BYTES) return await fetch(path, { method: 'POST', body: form, signal });
    return await fetch(text === '' ? path : `${path}?${text}`, { signal });
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new ApiError('cannot reach the server: is Bellwether running?', 'unreachable', 0);
  }
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

async function readBody(response: Response, path: string): Promise<Record<string, unknown>> {
  const text = await response.text();
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body === 'object' && body !== null) return body as Record<string, unknown>;
  } catch {
    // Not JSON: a proxy's page or a plain text error, reported below with its status.
  }
  const start = text.slice(0, 200).trim();
  throw new ApiError(
    response.ok ? `cannot read ${path}: the answer is not JSON` : `${path} answered HTTP ${response.status}: ${start}`,
    'not_json',
    response.status,
  );
}

/** Asks `path` and checks the shape of `data`; any failure is an `ApiError` fit to be shown. */
export async function ask<T>(path: string, params: Params, check: Check<T>, signal?: AbortSignal): Promise<Answer<T>> {
  const response = await send(path, params, signal);
  const body = await readBody(response, path);
  if (body.status !== 'success') {
    const message = typeof body.error === 'string' ? body.error : `${path} answered HTTP ${response.status}`;
    throw new ApiError(message, typeof body.errorType === 'string' ? body.errorType : 'unknown', response.status);
  }
  try {
    return { data: check(body.data, 'data'), warnings: strings(body.warnings), infos: strings(body.infos) };
  } catch (error) {
    if (!(error instanceof ShapeError)) throw error;
    throw new ApiError(`cannot read the answer of ${path}: ${error.message}`, 'shape', response.status);
  }
}
