// A reporter for node's test runner: one line per test, the cause of each failure, and the counts as the last line.

function cause(error) {
  const inner = error?.cause ?? error;
  return String(inner?.stack ?? inner?.message ?? inner);
}

export default async function* report(source) {
  let passed = 0;
  let failed = 0;
  let skipped = 0;
  for await (const { type, data } of source) {
    if (type === 'test:stdout' || type === 'test:stderr') yield data.message;
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    // Suites and files repeat what their tests said, unless they failed by themselves, as when the browser is missing.
    const own = data.details?.error?.failureType !== 'subtestsFailed';
    if (data.details?.type === 'suite' && (type === 'test:pass' || !own)) continue;
    const seconds = `${((data.details?.duration_ms ?? 0) / 1_000).toFixed(1)} s`;
    if (data.skip !== undefined) {
      skipped += 1;
      yield `SKIPPED ${data.name}${typeof data.skip === 'string' ? `: ${data.skip}` : ''}\n`;
    } else if (type === 'test:pass') {
      passed += 1;
      yield `ok      ${data.name} (${seconds})\n`;
    } else {
      failed += 1;
      yield `FAILED  ${data.name} (${seconds})\n${cause(data.details?.error)}\n`;
    }
  }
  yield `e2e: ${passed} passed, ${failed} failed, ${skipped} skipped\n`;
}
