// Opens every page of a running server in a real browser and looks at what a person would look at.
//   BELLWETHER_URL  where the server is (default http://127.0.0.1:9090)
//   SCREENSHOTS     a folder for pictures of each page, optional
//   CHROMIUM        the browser (default /usr/bin/chromium)

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { BASE, launch, open, shoot, watchShifts } from './browser.mjs';

let browser;

before(async () => {
  browser = await launch();
  await waitForRates();
});
after(async () => {
  await browser?.close();
});

/** A server just started has no rates yet: they need two scrapes. */
async function waitForRates() {
  const url = `${BASE}/api/v1/query?query=${encodeURIComponent('count(rate(node_cpu_seconds_total{job="node"}[1m]))')}`;
  const until = Date.now() + 90_000;
  let last = 'no answer';
  while (Date.now() < until) {
    try {
      const body = await (await fetch(url)).json();
      if (body.data?.result?.length > 0) return;
      last = JSON.stringify(body).slice(0, 200);
    } catch (error) {
      last = String(error);
    }
    await new Promise((done) => setTimeout(done, 500));
  }
  throw new Error(`${BASE} has no rate of node_cpu_seconds_total after 90 s: ${last}`);
}

/** How many different colours a canvas has: an empty one has one. */
function inked(canvas) {
  return canvas.evaluate((element) => {
    const { data } = element.getContext('2d').getImageData(0, 0, element.width, element.height);
    const colors = new Set();
    for (let i = 0; i < data.length; i += 4) colors.add(`${data[i]},${data[i + 1]},${data[i + 2]},${data[i + 3]}`);
    return colors.size;
  });
}

async function assertPanel(page, id) {
  const panel = page.locator(`[data-panel="${id}"]`);
  await panel.scrollIntoViewIfNeeded();
  await panel.locator('canvas').waitFor();
  const values = await panel.locator('td[data-last]').allTextContents();
  assert.ok(values.length > 0, `${id}: the legend is empty`);
  assert.ok(values.some((text) => /\d/.test(text)), `${id}: no number in the legend: ${values.join(', ')}`);
  assert.ok((await inked(panel.locator('canvas'))) > 3, `${id}: the canvas is empty`);
}

const type = async (page, text) => {
  await page.locator('[data-query="0"] .cm-content').click();
  await page.keyboard.press('Control+a');
  await page.keyboard.type(text, { delay: 5 });
  await page.keyboard.press('Escape');
};

const PAGES = [
  { path: '/hosts', ready: '[data-panel="cpu-modes"] td[data-last]' },
  { path: `/explore?q=${encodeURIComponent('rate(node_cpu_seconds_total[5m])')}`, ready: '[data-query="0"] canvas' },
  { path: '/alerts', ready: '[data-alert="firing"]' },
  { path: '/targets', ready: '[data-target]' },
  { path: '/status', ready: 'section[aria-label="Build"] dd' },
];

describe('every page', () => {
  for (const { path, ready } of PAGES) {
    const name = path.slice(1).replace(/\?.*/, '');
    for (const [scheme, width, height] of [['light', 1280, 900], ['dark', 1280, 900], ['light', 390, 844], ['dark', 390, 844]]) {
      it(`${name} opens, ${scheme}, ${width} px`, async () => {
        const { page, problems, close } = await open(browser, path, { scheme, width, height });
        await page.locator(ready).first().waitFor();
        await page.waitForLoadState('networkidle');
        const shown = await page.evaluate(() => document.documentElement.dataset.mantineColorScheme);
        assert.equal(shown, scheme);
        const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        assert.equal(over, 0, 'the page is wider than the screen');
        await shoot(page, `${name}-${scheme}-${width}`);
        assert.deepEqual(problems, []);
        await close();
      });
    }
  }
});

describe('Status', () => {
  it('moves nothing while it loads, on a narrow screen too', async () => {
    const { page, close } = await open(browser, '/targets', { width: 390 });
    await watchShifts(page);
    await page.goto(new URL('/status', BASE).href);
    await page.getByRole('region', { name: 'Series by metric' }).waitFor();
    await page.waitForLoadState('networkidle');
    const moved = await page.evaluate(() => globalThis.shifts);
    assert.ok(moved < 0.01, `layout shift score ${moved}`);
    await close();
  });

  it('says how far an endpoint of remote write is behind, and why', async () => {
    const { page, problems, close } = await open(browser, '/status');
    const endpoint = page.locator('[data-endpoint="far"]');
    await endpoint.getByText(/^Last error, .* ago$/).waitFor();
    const text = await endpoint.textContent();
    assert.match(text, /127\.0\.0\.1:9\/api\/v1\/write/);
    assert.match(text, /Behindnothing sent yet/);
    assert.match(text, /Samples pending[1-9]/);
    assert.match(text, /Connection refused/);
    assert.deepEqual(problems, []);
    await close();
  });
});

describe('Hosts', () => {
  it('shows values in the figures and graphs', async () => {
    const { page, problems, close } = await open(browser, '/');
    await page.waitForURL('**/hosts**');
    for (const id of ['uptime', 'cpu', 'load', 'memory']) {
      const figure = page.locator(`[data-figure="${id}"] b`);
      await page.waitForFunction((selector) => /\d/.test(document.querySelector(selector)?.textContent ?? ''), `[data-figure="${id}"] b`);
      assert.match(await figure.textContent(), /\d/);
    }
    for (const id of ['cpu-modes', 'cpu-cores', 'load', 'memory', 'disk-throughput', 'net-throughput', 'switches', 'filefd']) {
      await assertPanel(page, id);
    }
    assert.ok((await page.locator('[data-filesystem]').count()) > 0, 'no filesystem in the table');
    assert.deepEqual(problems, []);
    await close();
  });

  it('moves nothing while it loads', async () => {
    const { page, close } = await open(browser, '/targets');
    await watchShifts(page);
    await page.goto(new URL('/hosts', BASE).href);
    await page.locator('[data-panel="load"] td[data-last]').first().waitFor();
    await page.waitForLoadState('networkidle');
    const moved = await page.evaluate(() => globalThis.shifts);
    assert.ok(moved < 0.01, `layout shift score ${moved}`);
    await close();
  });

  it('zooms all panels by dragging in one', async () => {
    const { page, problems, close } = await open(browser, '/hosts');
    const over = page.locator('[data-panel="load"] .u-over');
    await over.waitFor();
    const box = await over.boundingBox();
    await page.mouse.move(box.x + box.width * 0.3, box.y + 40);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.7, box.y + 40, { steps: 5 });
    await page.mouse.up();
    await page.waitForURL(/from=\d+&to=\d+/);
    await page.getByRole('button', { name: 'Zoom out' }).click();
    assert.deepEqual(problems, []);
    await close();
  });

  it('shares the crosshair between panels', async () => {
    const { page, close } = await open(browser, '/hosts');
    await page.locator('[data-panel="pressure"] .u-over').waitFor();
    await page.locator('[data-panel="load"] .u-over').hover();
    const head = page.locator('[data-panel="pressure"] thead th').nth(1);
    await page.waitForFunction((element) => /\d\d:\d\d:\d\d/.test(element.textContent), await head.elementHandle());
    await close();
  });

  it('opens a panel in Explore', async () => {
    const { page, problems, close } = await open(browser, '/hosts?from=now-5m&to=now');
    await page.getByRole('link', { name: 'Open Load average in Explore' }).click();
    await page.waitForURL(/\/explore\?from=now-5m&to=now&q=node_load1/);
    await page.locator('[data-query="2"] canvas').waitFor();
    assert.deepEqual(problems, []);
    await close();
  });

  it('shows the message of a server that refuses', async () => {
    const { page, close } = await open(browser, '/targets', { allow: /.*/ });
    await page.route('**/api/v1/query_range**', (route) =>
      route.fulfill({ status: 503, contentType: 'application/json', body: '{"status":"error","errorType":"timeout","error":"query timed out in expression evaluation"}' }));
    await page.getByRole('link', { name: 'Hosts', exact: true }).click();
    await page.locator('[data-panel="load"]').getByText('query timed out in expression evaluation').waitFor();
    await close();
  });
});

describe('Explore', () => {
  it('runs an instant query as a table', async () => {
    const { page, problems, close } = await open(browser, '/explore?tab=table');
    await type(page, 'up');
    await page.keyboard.press('Control+Enter');
    await page.waitForURL(/q=up/);
    await page.locator('[data-query="0"] tbody tr').first().waitFor();
    assert.match(await page.locator('[data-query="0"] tbody').textContent(), /up\{.*job="node".*\}[01]/);
    assert.deepEqual(problems, []);
    await close();
  });

  it('runs a range query as a graph, and toggles its series', async () => {
    const { page, problems, close } = await open(browser, '/explore');
    await type(page, 'sum by (mode) (rate(node_cpu_seconds_total[5m]');
    await page.keyboard.press('Control+Enter');
    await page.locator('[data-query="0"] canvas').waitFor();
    const rows = page.locator('[data-query="0"] td[data-last]');
    await rows.first().waitFor();
    assert.ok((await inked(page.locator('[data-query="0"] canvas'))) > 3, 'the canvas is empty');
    const button = page.locator('[data-query="0"] button[aria-pressed]').first();
    await button.click();
    assert.equal(await button.getAttribute('aria-pressed'), 'false');
    assert.deepEqual(problems, []);
    await close();
  });

  it('shows what each part of a query took', async () => {
    const { page, problems, close } = await open(browser, '/explore?tab=plan&q=' + encodeURIComponent('sum by (mode) (rate(node_cpu_seconds_total[5m]))'));
    await page.locator('[data-query="0"] tbody tr').nth(2).waitFor();
    const operators = await page.locator('[data-query="0"] tbody td:first-child').allTextContents();
    assert.deepEqual(operators, ['sum by (mode)', 'rate', 'node_cpu_seconds_total[5m]']);
    assert.match(await page.locator('[data-query="0"] tbody tr').last().textContent(), /KiB|B in/);
    await shoot(page, 'explore-plan');
    assert.deepEqual(problems, []);
    await close();
  });

  it('underlines a syntax error where the server sees it', async () => {
    const { page, problems, close } = await open(browser, '/explore', { allow: /400|query_range/ });
    await type(page, 'sum(rate(');
    // The editor closes brackets by itself.
    for (let i = 0; i < 2; i += 1) await page.keyboard.press('Delete');
    await page.keyboard.press('Control+Enter');
    await page.getByRole('alert').getByText('parse error').waitFor();
    await page.locator('[data-query="0"] .cm-lintRange-error').first().waitFor();
    await shoot(page, 'explore-error');
    assert.deepEqual(problems, []);
    await close();
  });

  it('completes metrics and functions', async () => {
    const { page, problems, close } = await open(browser, '/explore');
    await page.locator('[data-query="0"] .cm-content').click();
    await page.keyboard.type('rate(node_cpu_s', { delay: 20 });
    await page.locator('.cm-tooltip-autocomplete li', { hasText: 'node_cpu_seconds_total' }).waitFor();
    await shoot(page, 'explore-completion');
    assert.deepEqual(problems, []);
    await close();
  });

  it('adds, duplicates and removes queries', async () => {
    const { page, problems, close } = await open(browser, '/explore?q=up');
    await page.getByRole('button', { name: 'Duplicate query 1' }).click();
    await page.getByRole('button', { name: 'Add query' }).click();
    await page.locator('[data-query="2"]').waitFor();
    await page.getByRole('button', { name: 'Remove query 1' }).click();
    await page.locator('[data-query="2"]').waitFor({ state: 'detached' });
    assert.match(page.url(), /q=up&q=$/);
    assert.deepEqual(problems, []);
    await close();
  });

  it('finds a metric in the browser and puts it into the editor', async () => {
    const { page, problems, close } = await open(browser, '/explore');
    await page.locator('.cm-content').waitFor();
    await page.getByRole('button', { name: 'Metrics' }).click();
    await page.getByLabel('Search metrics').fill('load1');
    await page.getByRole('complementary').getByRole('button', { name: /node_load1\b/ }).click();
    assert.equal(await page.locator('[data-query="0"] .cm-content').textContent(), 'node_load1');
    await shoot(page, 'explore-metrics');
    assert.deepEqual(problems, []);
    await close();
  });
});

describe('Alerts', () => {
  it('shows groups, rules and what fires, and filters', async () => {
    const { page, problems, close } = await open(browser, '/alerts');
    const rule = page.locator('[data-group="example"] [data-rule="SomethingIsUp"]');
    await rule.locator('[data-alert="firing"]').first().waitFor();
    assert.match(await rule.textContent(), /job="node".*node is up/);
    assert.match(await page.locator('[data-rule="job:up:sum"]').textContent(), /^recording/);
    assert.match(await page.locator('[data-rule="Broken"]').textContent(), /^failing.*same labelset/);
    await page.getByText('failing 1', { exact: true }).click();
    await page.waitForURL(/health=failing/);
    await rule.waitFor({ state: 'detached' });
    await page.getByLabel('Filter rules').fill('no such rule anywhere');
    await page.getByText('No rule matches the filter').waitFor();
    assert.deepEqual(problems, []);
    await close();
  });

  it('opens an expression in Explore, and takes the links of alerts', async () => {
    const { page, problems, close } = await open(browser, '/alerts');
    await page.getByRole('link', { name: 'Open SomethingIsUp in Explore' }).click();
    await page.waitForURL(/\/explore\?.*q=up/);
    await page.goto(new URL('/graph?g0.expr=up+%3D%3D+1&g0.tab=1', BASE).href);
    await page.waitForURL(/\/explore\?.*q=up/);
    await page.locator('[data-query="0"] tbody tr').first().waitFor();
    assert.deepEqual(problems, []);
    await close();
  });
});

describe('Targets', () => {
  it('shows the node target up, and filters', async () => {
    const { page, problems, close } = await open(browser, '/targets');
    const row = page.locator('[data-target]', { hasText: 'job="node"' }).first();
    await row.waitFor();
    assert.match(await row.textContent(), /^up/);
    await row.getByRole('button', { name: 'discovered labels' }).click();
    await page.getByLabel('Filter targets').fill('no such target anywhere');
    await page.getByText('No target matches the filter').waitFor();
    assert.match(page.url(), /filter=no/);
    assert.deepEqual(problems, []);
    await close();
  });
});

describe('the shell', () => {
  it('opens the palette with Ctrl+K and goes where told', async () => {
    const { page, problems, close } = await open(browser, '/hosts');
    await page.locator('[data-figure]').first().waitFor();
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox', { name: /Find a page/ }).fill('targets');
    await shoot(page, 'palette');
    await page.keyboard.press('Enter');
    await page.waitForURL('**/targets**');
    assert.deepEqual(problems, []);
    await close();
  });

  it('goes by keys and shows them', async () => {
    const { page, problems, close } = await open(browser, '/targets');
    await page.locator('[data-target]').first().waitFor();
    for (const [key, path] of [['e', '/explore'], ['h', '/hosts'], ['t', '/targets']]) {
      await page.keyboard.press('g');
      await page.keyboard.press(key);
      await page.waitForURL(`**${path}**`);
    }
    await page.keyboard.press('/');
    assert.equal(await page.evaluate(() => document.activeElement?.getAttribute('aria-label')), 'Filter targets');
    await page.keyboard.press('Escape');
    await page.evaluate(() => document.activeElement?.blur());
    await page.keyboard.press('?');
    await page.getByText('Keyboard shortcuts').waitFor();
    assert.deepEqual(problems, []);
    await close();
  });

  it('changes the theme and remembers it', async () => {
    const { page, problems, close } = await open(browser, '/targets');
    const toggle = page.getByRole('button', { name: /^Theme is/ });
    await toggle.click();
    await toggle.click();
    await page.reload();
    await page.locator('[data-target]').first().waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.dataset.mantineColorScheme), 'dark');
    assert.deepEqual(problems, []);
    await close();
  });

  it('takes a range from the picker into the address', async () => {
    const { page, problems, close } = await open(browser, '/hosts');
    await page.getByRole('button', { name: 'Last 15 minutes' }).click();
    await page.getByLabel('From').fill('now-90m');
    await shoot(page, 'time-picker');
    await page.getByRole('button', { name: 'Apply' }).click();
    await page.waitForURL(/from=now-1h30m&to=now/);
    assert.deepEqual(problems, []);
    await close();
  });

  it('says what in the address it cannot read, and cleans it', async () => {
    const { page, problems, close } = await open(browser, '/hosts?from=yesterday&refresh=9s');
    await page.getByRole('alert').getByText('yesterday').waitFor();
    await page.getByRole('button', { name: 'Clean the address' }).click();
    await page.waitForURL((url) => url.search === '');
    await page.getByText('yesterday').waitFor({ state: 'detached' });
    assert.deepEqual(problems, []);
    await close();
  });

  it('refreshes while it is live, and rests when switched off', async () => {
    const { page, problems, close } = await open(browser, '/explore?q=up&refresh=5s');
    await page.locator('[data-query="0"] canvas').waitFor();
    let asked = 0;
    page.on('request', (request) => {
      if (request.url().includes('query_range')) asked += 1;
    });
    await page.waitForRequest(/query_range/, { timeout: 9_000 });
    await page.getByRole('button', { name: /^Automatic refresh/ }).click();
    await page.getByRole('menuitem', { name: 'Off' }).click();
    await page.waitForURL(/refresh=off/);
    asked = 0;
    await page.waitForTimeout(6_500);
    assert.equal(asked, 0);
    assert.deepEqual(problems, []);
    await close();
  });

  it('rests while the tab is hidden, and catches up when it is shown', async () => {
    const { page, problems, close } = await open(browser, '/explore?q=up&refresh=5s');
    await page.locator('[data-query="0"] canvas').waitFor();
    const hide = (hidden) => page.evaluate((value) => {
      Object.defineProperty(document, 'hidden', { configurable: true, get: () => value });
      document.dispatchEvent(new Event('visibilitychange'));
    }, hidden);
    await hide(true);
    await page.waitForLoadState('networkidle');
    let asked = 0;
    page.on('request', (request) => {
      if (request.url().includes('query_range')) asked += 1;
    });
    await page.waitForTimeout(6_500);
    assert.equal(asked, 0);
    const caughtUp = page.waitForRequest(/query_range/, { timeout: 1_000 });
    await hide(false);
    await caughtUp;
    assert.deepEqual(problems, []);
    await close();
  });

  it('has a page for addresses that name none', async () => {
    const { page, close } = await open(browser, '/nonsense', { allow: /404|nonsense/ });
    await page.getByText('There is no such page').waitFor();
    await close();
  });
});
