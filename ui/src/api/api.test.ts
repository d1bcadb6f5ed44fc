import { afterEach, describe, expect, it, vi } from 'vitest';
import { ApiError } from './client';
import { labelValues } from './metadata';
import { queryInstant, queryRange } from './query';
import { getTargets } from './targets';

const grid = { startSec: 0, endSec: 10, stepSec: 5 };

function answer(body: unknown, status = 200): void {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  vi.stubGlobal('fetch', vi.fn(() => Promise.resolve(new Response(text, { status }))));
}

afterEach(() => vi.unstubAllGlobals());

describe('answers', () => {
  it('reads every type of result', async () => {
    answer({ status: 'success', data: { resultType: 'vector', result: [{ metric: { a: 'b' }, value: [1, '2'] }] }, warnings: ['w'] });
    const vector = await queryInstant('up', 1);
    expect(vector).toEqual({ data: { resultType: 'vector', result: [{ metric: { a: 'b' }, value: [1, '2'], histogram: null }] }, warnings: ['w'], infos: [] });
    answer({ status: 'success', data: { resultType: 'scalar', result: [1, '2'] } });
    expect((await queryInstant('1', 1)).data).toEqual({ resultType: 'scalar', result: [1, '2'] });
    answer({ status: 'success', data: { resultType: 'matrix', result: [{ metric: {}, histograms: [[1, { count: '3', sum: '4' }]] }] } });
    expect((await queryRange('h', grid)).data[0]?.histograms).toHaveLength(1);
  });
  it('takes an absent list of dropped targets as empty', async () => {
    answer({ status: 'success', data: { activeTargets: [] } });
    expect((await getTargets('any')).data).toEqual({ activeTargets: [], droppedTargets: [] });
  });
});

describe('errors', () => {
  it('are the words of the server', async () => {
    answer({ status: 'error', errorType: 'bad_data', error: '1:3: parse error: no' }, 400);
    await expect(queryInstant('x', 1)).rejects.toMatchObject({ message: '1:3: parse error: no', kind: 'bad_data', status: 400 });
  });
  it('name the place of a wrong shape', async () => {
    answer({ status: 'success', data: ['a', 1] });
    await expect(labelValues('x')).rejects.toThrow('cannot read the answer of /api/v1/label/x/values: expected a string at data[1], got number');
    answer({ status: 'success', data: { resultType: 'vector', result: [] } });
    await expect(queryRange('x', grid)).rejects.toThrow('expected a matrix at data, got a vector');
  });
  it('say when the answer is no JSON', async () => {
    answer('<html>bad gateway</html>', 502);
    await expect(labelValues('x')).rejects.toThrow('/api/v1/label/x/values answered HTTP 502: <html>bad gateway</html>');
    answer('welcome');
    await expect(labelValues('x')).rejects.toThrow('the answer is not JSON');
  });
  it('say when there is no server', async () => {
    vi.stubGlobal('fetch', vi.fn(() => Promise.reject(new TypeError('network'))));
    await expect(labelValues('x')).rejects.toBeInstanceOf(ApiError);
    await expect(labelValues('x')).rejects.toMatchObject({ kind: 'unreachable' });
  });
});

describe('requests', () => {
  it('go as a form once they are long', async () => {
    answer({ status: 'success', data: { resultType: 'vector', result: [] } });
    await queryInstant('up', 1);
    await queryInstant(`up{a="${'x'.repeat(2_000)}"}`, 1);
    const calls = vi.mocked(fetch).mock.calls;
    expect(calls[0]?.[0]).toBe('/api/v1/query?query=up&time=1');
    expect(calls[1]?.[0]).toBe('/api/v1/query');
    expect(calls[1]?.[1]?.method).toBe('POST');
  });
});
